"""How `ctc_loss` behaves inside PyTorch's autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss.errors import DTypeError
from seqloss.torch import ctc_loss

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])


def leaf(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).to(dtype).requires_grad_()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "batch", "labels"])
@pytest.mark.parametrize("blank", [0, -1])
def test_gradcheck_passes(reduction: str, blank: int) -> None:
    targets = TARGETS if blank == 0 else TARGETS.clamp(max=2)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x, targets, FRAMES, LABELS, blank=blank, reduction=reduction)

    assert torch.autograd.gradcheck(loss, (leaf(),))


def test_gradcheck_passes_for_log_probabilities_before_a_softmax_of_their_own() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x.log_softmax(2), TARGETS, FRAMES, LABELS, normalize=False)

    assert torch.autograd.gradcheck(loss, (leaf(),))


def test_log_probabilities_give_the_same_gradient_to_the_scores() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    ctc_loss(y.log_softmax(2), TARGETS, FRAMES, LABELS, normalize=False).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-12, atol=1e-14)


def test_loss_and_gradient_equal_torchs_own() -> None:
    x, y = leaf(), leaf()
    losses = ctc_loss(x, TARGETS, FRAMES, LABELS)
    peers = torch.nn.functional.ctc_loss(y.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS, reduction="none")
    torch.testing.assert_close(losses, peers)
    losses.sum().backward()
    peers.sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    mean = torch.nn.functional.ctc_loss(y.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS, reduction="mean")
    torch.testing.assert_close(ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean"), mean)


def test_changing_scores_in_place_after_the_loss_does_not_change_its_gradient() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    loss = ctc_loss(y, TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        y.fill_(1e5)
    loss.sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_changing_targets_and_lengths_after_the_loss_does_not_change_its_gradient() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    targets, frames, labels = TARGETS.clone(), FRAMES.clone(), LABELS.clone()
    loss = ctc_loss(y, targets, frames, labels)
    for tensor in (targets, frames, labels):
        tensor.fill_(-7)
    loss.backward(torch.ones(2, dtype=torch.float64))
    assert torch.equal(x.grad, y.grad)


def test_a_retained_graph_gives_the_same_gradient_after_the_first_was_changed() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS)
    (first,) = torch.autograd.grad(loss, x, torch.tensor([1.0, torch.inf], dtype=torch.float64), retain_graph=True)
    first.zero_()
    (second,) = torch.autograd.grad(loss, x, torch.tensor([1.0, 2.0], dtype=torch.float64), retain_graph=True)
    (third,) = torch.autograd.grad(loss, x, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert second.any()
    assert torch.equal(second, third)


def test_a_loss_changed_in_place_leaves_the_gradient_right() -> None:
    x, y = leaf(), leaf()
    (3 * ctc_loss(x, TARGETS, FRAMES, LABELS)).sum().backward()
    ctc_loss(y, TARGETS, FRAMES, LABELS).mul_(3).sum().backward()
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_a_graph_the_loss_has_the_same_bits_and_no_history(mode: type) -> None:
    expected = ctc_loss(leaf(), TARGETS, FRAMES, LABELS).detach()
    with mode():
        loss = ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    assert loss.grad_fn is None
    assert torch.equal(loss, expected)


def test_inference_tensors_are_taken() -> None:
    with torch.inference_mode():
        x = leaf() * 1
        assert torch.isfinite(ctc_loss(x, TARGETS, FRAMES, LABELS)).all()


def test_scores_that_need_no_gradient_get_none_and_cost_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqloss.numpy.ctc import rows

    asked, real = [], rows.compute_rows
    monkeypatch.setattr(
        rows,
        "compute_rows",
        lambda *args, **options: asked.append(options.get("gradient", True)) or real(*args, **options),
    )
    loss = ctc_loss(leaf().detach(), TARGETS, FRAMES, LABELS)
    assert not loss.requires_grad
    ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    assert asked == [False, True, False]


def test_a_graph_of_the_gradient_that_is_not_differentiated_changes_nothing() -> None:
    x, y = leaf(), leaf()
    ctc_loss(y, TARGETS, FRAMES, LABELS).sum().backward()
    (grad,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS).sum(), x, create_graph=True)
    assert torch.equal(grad, y.grad)
    (x.sum() + grad.detach().sum()).backward()
    assert (x.grad == 1).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_gradient_has_the_type_of_the_scores(dtype: torch.dtype) -> None:
    x = leaf(dtype)
    ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean").backward()
    assert x.grad.dtype == dtype
    assert x.grad.shape == x.shape


def test_autocast_does_not_touch_the_arithmetic() -> None:
    x = leaf(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean")
    assert torch.equal(inside, ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean"))


def test_an_expanded_row_gathers_the_gradients_of_all_its_copies() -> None:
    row = leaf()[:1].detach().requires_grad_()
    weights = torch.tensor([1.0, -0.5, 3.0], dtype=torch.float64)
    ctc_loss(row.expand(3, -1, -1), TARGETS[:1].expand(3, -1)).backward(weights)
    grad, row.grad = row.grad, None
    ctc_loss(row, TARGETS[:1]).backward(weights.sum()[None])
    torch.testing.assert_close(grad, row.grad)


STRIDED = {
    "transposed": lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
    "time first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "a slice of more": lambda x: torch.cat([x * 0 - 7, x, x * 0 + 5], 2)[:, :, 4:8],
    "every other frame": lambda x: torch.stack([x, x * 0 + 5], 2).flatten(1, 2)[:, ::2],
    "backwards and back": lambda x: x.flip(1).flip(1),
    "negated": lambda x: torch.complex(x * 0, -x).conj().imag,
}


@pytest.mark.parametrize("name", STRIDED)
def test_loss_and_gradient_have_the_same_bits_for_any_strides(name: str) -> None:
    x, y = leaf(), leaf()
    upstream = torch.tensor([1.0, -3.0], dtype=torch.float64)
    expected = ctc_loss(x, TARGETS, FRAMES, LABELS)
    expected.backward(upstream)
    strided = STRIDED[name](y)
    assert torch.equal(strided, y)
    loss = ctc_loss(strided, TARGETS, FRAMES, LABELS)
    loss.backward(upstream)
    assert torch.equal(loss, expected)
    assert torch.equal(x.grad, y.grad)


def test_scores_of_stride_0_are_taken_as_a_leaf() -> None:
    row = leaf()[:1].detach()
    x = row.expand(3, -1, -1).requires_grad_()
    y = row.repeat(3, 1, 1).requires_grad_()
    for scores in (x, y):
        ctc_loss(scores, TARGETS[:1].expand(3, -1)).sum().backward()
    assert y.grad.any()
    assert torch.equal(x.grad, y.grad)


def test_two_losses_of_the_same_scores_add_up() -> None:
    x = leaf()
    others = TARGETS.flip(1).clamp(min=1)
    parts = []
    for targets in (TARGETS, others):
        ctc_loss(x, targets, FRAMES, LABELS).sum().backward()
        parts.append(x.grad)
        x.grad = None
    both = ctc_loss(x, TARGETS, FRAMES, LABELS).sum() - 2 * ctc_loss(x, others, FRAMES, LABELS).sum()
    both.backward()
    torch.testing.assert_close(x.grad, parts[0] - 2 * parts[1], rtol=1e-14, atol=1e-16)


def test_scores_in_the_middle_of_a_graph_keep_and_pass_on_their_gradient() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    middle = 2 * y
    middle.retain_grad()
    ctc_loss(middle - y, TARGETS, FRAMES, LABELS).sum().backward()
    assert torch.equal(middle.grad, x.grad)
    assert torch.equal(y.grad, x.grad)


INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64, torch.uint64]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_labels_and_lengths_of_every_integer_type_mean_the_same(kind: torch.dtype) -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    ctc_loss(y, TARGETS.to(kind), FRAMES.to(kind), LABELS.to(kind)).sum().backward()
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize("lengths", [LABELS, LABELS.to(torch.uint8), LABELS.tolist(), tuple(LABELS.tolist())])
def test_labels_one_row_after_another_give_the_same_bits(lengths: object) -> None:
    x, y = leaf(), leaf()
    expected = ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean")
    loss = ctc_loss(y, torch.tensor([1, 2, 2, 3, 1]), FRAMES, lengths, reduction="mean")
    expected.backward()
    loss.backward()
    assert torch.equal(loss, expected)
    assert torch.equal(x.grad, y.grad)


def test_many_gradients_at_once_are_those_one_by_one() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS)
    upstream = torch.tensor([[1.0, 0.0], [-2.0, 3.0], [torch.inf, 1.0]], dtype=torch.float64)
    (kept,) = torch.autograd.grad(loss, x, upstream, is_grads_batched=True, retain_graph=True)
    expected = torch.stack([torch.autograd.grad(loss, x, weights, retain_graph=True)[0] for weights in upstream])
    (last,) = torch.autograd.grad(loss, x, upstream, is_grads_batched=True)
    assert torch.equal(kept, expected)
    assert torch.equal(last, expected)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_vectorized_jacobian_is_the_one_row_by_row(reduction: str) -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x, TARGETS, FRAMES, LABELS, reduction=reduction)

    expected = torch.autograd.functional.jacobian(loss, leaf())
    assert expected.any()
    assert torch.equal(torch.autograd.functional.jacobian(loss, leaf(), vectorize=True), expected)


def test_backward_on_another_thread_gives_the_same_bits() -> None:
    from concurrent.futures import ThreadPoolExecutor

    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    loss = ctc_loss(y, TARGETS, FRAMES, LABELS).sum()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(loss.backward).result()
    assert torch.equal(x.grad, y.grad)


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        (np.zeros((2, 7, 4)), "expected a torch.Tensor, found ndarray"),
        (torch.zeros(2, 7, 4, dtype=torch.int64), "float16, bfloat16, float32 or float64, found torch.int64"),
        (torch.zeros(2, 7, 4, dtype=torch.complex64), "found torch.complex64"),
        (torch.zeros(2, 7, 4, dtype=torch.bool), "found torch.bool"),
    ],
)
def test_scores_of_another_type_are_refused(logits: object, found: str) -> None:
    with pytest.raises(DTypeError, match=f"logits: .*{found}"):
        ctc_loss(logits, TARGETS, FRAMES, LABELS)  # type: ignore[arg-type]


def test_a_node_of_the_graph_has_a_name() -> None:
    loss = ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    assert "Losses" in loss.grad_fn.name()
