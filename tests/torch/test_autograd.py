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


def test_log_probabilities_as_they_stand_bring_the_same_gradient_to_the_scores() -> None:
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


def test_scores_changed_in_place_after_the_loss_leave_its_gradient_alone() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    loss = ctc_loss(y, TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        y.fill_(1e5)
    loss.sum().backward()
    assert torch.equal(x.grad, y.grad)


def test_targets_and_lengths_changed_after_the_loss_leave_its_gradient_alone() -> None:
    x, y = leaf(), leaf()
    ctc_loss(x, TARGETS, FRAMES, LABELS).sum().backward()
    targets, frames, labels = TARGETS.clone(), FRAMES.clone(), LABELS.clone()
    loss = ctc_loss(y, targets, frames, labels)
    for tensor in (targets, frames, labels):
        tensor.fill_(-7)
    loss.backward(torch.ones(2, dtype=torch.float64))
    assert torch.equal(x.grad, y.grad)


def test_a_retained_graph_gives_the_same_gradient_again_whatever_was_done_with_the_first() -> None:
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
    from seqloss.torch import ctc

    asked, real = [], ctc.compute
    monkeypatch.setattr(
        ctc, "compute", lambda *args, **options: asked.append(options["gradient"]) or real(*args, **options)
    )
    loss = ctc_loss(leaf().detach(), TARGETS, FRAMES, LABELS)
    assert not loss.requires_grad
    ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    assert asked[:2] == [False, True]


def test_a_gradient_penalty_is_refused_and_does_not_count_for_nothing() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS).sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"ctc_loss has no second derivative: .*create_graph=True"):
        (loss + grad.square().sum()).backward()


def test_a_second_derivative_by_way_of_upstream_is_refused() -> None:
    x, scale = leaf(), torch.ones((), dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(scale * ctc_loss(x, TARGETS, FRAMES, LABELS).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="ctc_loss has no second derivative"):
        grad.sum().backward()


def test_a_graph_of_the_gradient_that_nobody_differentiates_does_no_harm() -> None:
    x, y = leaf(), leaf()
    ctc_loss(y, TARGETS, FRAMES, LABELS).sum().backward()
    (grad,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS).sum(), x, create_graph=True)
    assert torch.equal(grad, y.grad)
    (x.sum() + grad.detach().sum()).backward()
    assert (x.grad == 1).all()


def test_a_forward_derivative_is_refused_and_not_0() -> None:
    from torch.autograd import forward_ad

    with forward_ad.dual_level():
        x = forward_ad.make_dual(leaf().detach(), torch.ones(2, 7, 4, dtype=torch.float64))
        with pytest.raises(RuntimeError, match=r"jvp|forward"):
            ctc_loss(x, TARGETS, FRAMES, LABELS)


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
