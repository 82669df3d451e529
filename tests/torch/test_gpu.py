"""The frontend before the Triton kernels, inside PyTorch's autograd: on a GPU, or in Triton's interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from seqloss import errors
from seqloss.torch import CTCLoss, ctc_align, ctc_greedy, ctc_loss, ctc_posteriors
from seqloss.torch.ctc import device_arguments

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
UPSTREAM = torch.tensor([1.0, -2.5])

pytestmark = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason="no CUDA device; TRITON_INTERPRET=1 runs the kernels without one",
)


def leaf(kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).to(DEVICE, kind).requires_grad_()


def gradient(x: torch.Tensor, **options: Any) -> torch.Tensor:
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS, **options)
    (found,) = torch.autograd.grad(loss, x, UPSTREAM.to(loss) if loss.ndim else None)
    return found


def test_scores_go_through_the_kernels() -> None:
    assert device_arguments.runs_on_triton(leaf())
    assert "gpu" in type(ctc_loss(leaf(), TARGETS, FRAMES, LABELS).grad_fn)._forward_cls.__module__


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(
    ("reduction", "denominator"),
    [("none", None), ("sum", None), ("sum", 7.5), ("mean", None), ("batch", None), ("labels", None)],
)
def test_every_reduction_is_that_of_the_cpu_in_float64(
    reduction: Any, denominator: float | None, normalize: bool
) -> None:
    x = leaf() if normalize else leaf().detach().log_softmax(2).sub(0.01).requires_grad_()
    exact = x.detach().cpu().double().requires_grad_()
    options = {"reduction": reduction, "denominator": denominator, "normalize": normalize}
    loss, expected = (ctc_loss(scores, TARGETS, FRAMES, LABELS, **options) for scores in (x, exact))
    torch.testing.assert_close(loss.cpu().double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradient(x, **options).cpu().double(), gradient(exact, **options), rtol=2e-6, atol=2e-7)


def test_gradients_of_several_losses_accumulate() -> None:
    x = leaf()
    for weight in (1.0, 2.0):
        (weight * ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="sum")).backward()
    torch.testing.assert_close(x.grad, 3.0 * gradient(leaf(), reduction="sum"), rtol=1e-6, atol=1e-7)


def test_a_retained_graph_gives_the_same_gradient_after_the_first_was_changed() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS)
    (first,) = torch.autograd.grad(loss, x, torch.tensor([1.0, torch.inf], device=DEVICE), retain_graph=True)
    first.zero_()
    (second,) = torch.autograd.grad(loss, x, UPSTREAM.to(DEVICE), retain_graph=True)
    (third,) = torch.autograd.grad(loss, x, UPSTREAM.to(DEVICE))
    assert second.any()
    assert torch.equal(second, third)


def test_scores_changed_in_place_before_the_gradient_are_an_error_and_not_another_gradient() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="sum")
    with torch.no_grad():
        x.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_many_gradients_at_once_are_those_one_by_one() -> None:
    x = leaf()
    loss = ctc_loss(x, TARGETS, torch.tensor([3, 5]), LABELS)  # row 0 fits no path
    upstream = torch.tensor([[1.0, 0.0], [-2.0, 3.0], [torch.inf, 1.0]], device=DEVICE)
    (batched,) = torch.autograd.grad(loss, x, upstream, is_grads_batched=True, retain_graph=True)
    for weights, found in zip(upstream, batched, strict=True):
        (expected,) = torch.autograd.grad(loss, x, weights, retain_graph=True)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_a_graph_the_loss_has_the_same_bits_and_no_history(mode: type) -> None:
    expected = ctc_loss(leaf(), TARGETS, FRAMES, LABELS).detach()
    with mode():
        loss = ctc_loss(leaf() * 1, TARGETS, FRAMES, LABELS)
    assert loss.grad_fn is None
    assert torch.equal(loss, expected)


def test_scores_that_need_no_gradient_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqloss.kernels.triton.ctc import replay

    asked, real = [], replay.forward
    monkeypatch.setattr(
        replay, "forward", lambda *args, **options: asked.append(options["gradient"]) or real(*args, **options)
    )
    ctc_loss(leaf().detach(), TARGETS, FRAMES, LABELS)
    ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    with torch.no_grad():
        ctc_loss(leaf(), TARGETS, FRAMES, LABELS)
    assert asked == [False, True, False]


class Large(TorchDispatchMode):
    """Which operations of torch's own make something as large as the scores, the kernels' launches left out."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.seen = size, []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.numel() >= self.size and not function.is_view:
            self.seen.append(function.overloadpacket.__name__)
        return found


@contextmanager
def watched(size: int) -> Iterator[list[str]]:
    if INTERPRETED:
        from triton.runtime.interpreter import GridExecutor

        launch = GridExecutor.__call__

        def unwatched(*args: Any, **options: Any) -> None:
            with _disable_current_modes():
                launch(*args, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GridExecutor, "__call__", unwatched)
            with Large(size) as mode:
                yield mode.seen
    else:
        with Large(size) as mode:
            yield mode.seen


STRIDED = {
    "transposed": lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
    "time first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "a slice of more": lambda x: torch.cat([x * 0 - 7, x, x * 0 + 5], 2)[:, :, 40:80],
    "every other frame": lambda x: torch.stack([x, x * 0 + 5], 2).flatten(1, 2)[:, ::2],
    "one row for all": lambda x: x[:1].expand(2, -1, -1),
}


@pytest.mark.parametrize("name", STRIDED)
def test_scores_of_any_strides_give_the_same_bits_and_are_not_copied(name: str) -> None:
    plain = torch.randn(2, 40, 40, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    strided = STRIDED[name](plain).detach().requires_grad_()
    plain = strided.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    assert not strided.is_contiguous()
    answers = []
    for x in (plain, strided):
        with watched(x.numel()) as seen:
            loss = ctc_loss(x, TARGETS, [40, 31], LABELS)
            (grad,) = torch.autograd.grad(loss, x, UPSTREAM.to(DEVICE))
        assert set(seen) <= {"empty", "fill_"}  # the gradient itself, and what poisons it under test
        assert "empty" in seen
        answers.append((loss, grad))
    assert torch.equal(answers[0][0], answers[1][0])
    assert torch.equal(answers[0][1], answers[1][1])


def test_scores_and_upstream_that_are_negated_when_read_are_read_so() -> None:
    def negated(x: torch.Tensor) -> torch.Tensor:
        found = torch.complex(torch.zeros_like(x), -x).conj().imag
        assert found.is_neg()
        assert torch.equal(found, x)
        return found

    x, y = leaf(), leaf()
    (expected,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS), x, UPSTREAM.to(DEVICE))
    (found,) = torch.autograd.grad(ctc_loss(negated(y), TARGETS, FRAMES, LABELS), y, negated(UPSTREAM.to(DEVICE)))
    assert torch.equal(found, expected)
    x, y = x.detach(), negated(x.detach())
    for function in (ctc_posteriors, lambda *args: ctc_align(*args).scores):
        assert torch.equal(function(y, TARGETS, FRAMES, LABELS), function(x, TARGETS, FRAMES, LABELS))
    assert ctc_greedy(y)[0].labels.tolist() == ctc_greedy(x)[0].labels.tolist()


@pytest.mark.parametrize("offset", [0, 1, 4])
@pytest.mark.parametrize("step", [1, 2])
def test_what_is_left_for_the_gradient_may_come_back_from_elsewhere(offset: int, step: int) -> None:
    def moved(tensor: torch.Tensor) -> torch.Tensor:
        places = offset + step * torch.arange(tensor.numel(), device=tensor.device)
        memory = torch.zeros(offset + step * tensor.numel(), dtype=tensor.dtype, device=tensor.device)
        memory[places] = tensor.detach().reshape(-1)
        return memory[offset::step].view(tensor.shape)

    for _ in range(4):
        x = leaf()
        with torch.autograd.graph.saved_tensors_hooks(moved, lambda tensor: tensor):
            loss = ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean")
        (found,) = torch.autograd.grad(loss, x)
        assert torch.equal(found, gradient(leaf(), reduction="mean"))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_autocast_does_not_touch_the_arithmetic(kind: torch.dtype) -> None:
    for scores in (torch.float32, kind):
        x = leaf(scores)
        with torch.autocast(DEVICE.type, kind):
            loss, inside = ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean"), gradient(x, reduction="mean")
        assert loss.dtype == torch.float32
        assert inside.dtype == scores
        assert torch.equal(loss, ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean"))
        assert torch.equal(inside, gradient(x, reduction="mean"))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_half_type_s_gradient_is_rounded_once_reduction_and_upstream_included(kind: torch.dtype) -> None:
    x = leaf(kind)
    exact = gradient(x.detach().float().requires_grad_(), reduction="mean")
    assert torch.equal(gradient(x, reduction="mean"), exact.to(kind))


def test_labels_and_lengths_of_any_integer_type_on_the_device_mean_the_same() -> None:
    expected = gradient(leaf())
    for kind in device_arguments.INTEGERS:
        x = leaf()
        args = (values.to(DEVICE, kind) for values in (TARGETS, FRAMES, LABELS))
        (found,) = torch.autograd.grad(ctc_loss(x, *args), x, UPSTREAM.to(DEVICE))
        assert torch.equal(found, expected)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, Python cannot see the numbers of any tensor."""
    monkeypatch.setattr(device_arguments, "hidden", lambda values: isinstance(values, torch.Tensor))


@pytest.mark.usefixtures("hidden")
def test_a_bad_label_or_length_on_the_device_is_nan_for_its_row() -> None:
    x, expected = leaf(), ctc_loss(leaf().detach().cpu().double(), TARGETS, FRAMES, LABELS)
    bad = {
        "a label": (TARGETS.index_fill(1, torch.tensor([1]), 4), FRAMES, LABELS),
        "the blank": (torch.tensor([[1, 2, 2], [0, 1, 0]]), FRAMES, LABELS),
        "frames": (TARGETS, torch.tensor([7, 8]), LABELS),
        "labels": (TARGETS, FRAMES, torch.tensor([3, -1])),
    }
    for name, args in bad.items():
        loss = ctc_loss(x, *(values.to(DEVICE) for values in args))
        assert loss[1].isnan(), name
        assert loss[0].isnan() == (name == "a label")
        if name != "a label":
            torch.testing.assert_close(loss[0].cpu().double(), expected[0], rtol=1e-6, atol=0)
    zero = ctc_loss(x, TARGETS.to(DEVICE), torch.tensor([2, 5]).to(DEVICE), LABELS.to(DEVICE), infeasible="raise")
    assert zero.isnan().tolist() == [True, False]


@pytest.mark.usefixtures("hidden")
def test_a_blank_of_another_type_is_refused_beside_unseen_labels_even_after_one_like_it() -> None:
    arguments = leaf(), *(values.to(DEVICE) for values in (TARGETS, FRAMES, LABELS))
    ctc_loss(*arguments, blank=1)
    with pytest.raises(errors.DTypeError, match="blank"):
        ctc_loss(*arguments, blank=True)


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("kind", sorted(device_arguments.INTEGERS, key=str), ids=str)
def test_labels_one_row_after_another_on_the_device_are_those_of_padded_rows(kind: torch.dtype) -> None:
    labels = torch.tensor([1, 2, 2, 3, 1]).to(DEVICE, kind)
    for counts in (LABELS.to(DEVICE, kind), LABELS.tolist()):
        x = leaf()
        loss = ctc_loss(x, labels, FRAMES.to(DEVICE), counts)
        (found,) = torch.autograd.grad(loss, x, UPSTREAM.to(DEVICE))
        assert torch.equal(loss, ctc_loss(leaf(), TARGETS, FRAMES, LABELS))
        assert torch.equal(found, gradient(leaf()))
    assert ctc_loss(leaf(), labels, None, torch.tensor([3, 1]).to(DEVICE)).isnan().all()  # they add up to 4
    assert ctc_loss(leaf(), labels, None, torch.tensor([6, -1]).to(DEVICE)).isnan().all()
    many = torch.ones(40, dtype=torch.int64).to(DEVICE)
    assert ctc_loss(leaf(), many, None, torch.tensor([39, 1]).to(DEVICE))[0] == torch.inf


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("counts", [LABELS, None])
def test_a_form_that_does_not_fit_is_refused_on_the_device_too(counts: Any) -> None:
    refused: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
        (errors.DTypeError, "targets: expected integers, found float32", (TARGETS.float(), FRAMES, counts)),
        (errors.DTypeError, "logit_lengths: expected integers, found bool", (TARGETS, FRAMES > 0, counts)),
        (errors.ShapeError, "targets: expected 2 rows", (TARGETS[:1], FRAMES, counts)),
        (errors.ShapeError, "targets: found rows of uneven length", ([[1, 2, 3], [1]], FRAMES, counts)),
        (errors.ShapeError, r"logit_lengths: expected shape \(batch,\)", (TARGETS, FRAMES[None], counts)),
    ]
    for kind, words, args in refused:
        for function in (ctc_loss, ctc_posteriors, ctc_align):
            with pytest.raises(kind, match=words):
                function(leaf(), *args)


def peers(x: torch.Tensor, *args: Any, upstream: Any = None, **options: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Loss and gradient of CTCLoss, of it in float64 on the CPU, and of torch's own there, as float64."""
    found = []
    for kind, scores in ((CTCLoss, x), (CTCLoss, x.cpu().double()), (torch.nn.CTCLoss, x.cpu().double())):
        log_probs = scores.detach().clone().requires_grad_()
        loss = kind(**options)(log_probs, *args)
        loss.backward(torch.ones_like(loss) if upstream is None else torch.as_tensor(upstream).to(loss))
        found.append((loss.detach().cpu().double(), log_probs.grad.cpu().double()))
    return found


def log_probs() -> torch.Tensor:
    return leaf().detach().log_softmax(2).transpose(0, 1)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    "args",
    [
        (TARGETS, FRAMES, LABELS),
        (torch.tensor([1, 2, 2, 3, 1]), (7, 5), (3, 2)),
        (TARGETS.int(), [7, 5], [3, 0]),
        (TARGETS, torch.tensor([3, 5]), LABELS),
    ],
    ids=["padded", "concatenated", "an empty target", "an infeasible row"],
)
def test_the_drop_in_is_torchs_own(args: tuple[Any, ...], reduction: str) -> None:
    ours, exact, torchs = peers(log_probs(), *args, reduction=reduction, zero_infinity=True)
    for found, expected in ((ours, exact), (ours, torchs)):
        torch.testing.assert_close(found, expected, rtol=2e-6, atol=2e-7)


def test_the_drop_in_takes_a_single_row_a_negative_blank_and_unnormalised_scores() -> None:
    x = 2.0 * log_probs()[:, 0]
    for args in ((torch.tensor([1, 2, 2]), torch.tensor(7), torch.tensor(3)), (torch.tensor([[1, 2, 2]]), (7,), (3,))):
        ours, exact, torchs = peers(x, *args, blank=3)
        assert ours[0].shape == ()
        torch.testing.assert_close(ours, exact, rtol=2e-6, atol=2e-7)
        torch.testing.assert_close(ours, torchs, rtol=2e-6, atol=2e-7)
        negative = peers(x[:, [3, 1, 2, 0]], *args, blank=0)[0], CTCLoss(-1)(x, *args)
        torch.testing.assert_close(negative[1].cpu().double(), ours[0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("score", [torch.nan, torch.inf, -torch.inf])
def test_a_non_finite_unread_class_changes_only_its_own_gradient_in_the_drop_in(score: float) -> None:
    x = log_probs().contiguous()
    x[1, 1, 2] = score
    ours, exact, _ = peers(x, TARGETS, FRAMES, LABELS, reduction="none")
    torch.testing.assert_close(ours, exact, rtol=2e-6, atol=2e-7, equal_nan=True)
    assert ours[0].isfinite().all()


def test_the_drop_in_refuses_in_torchs_words() -> None:
    with pytest.raises(errors.LengthError, match=r"^input_lengths\[1\]: found 8, expected 0 to 7"):
        CTCLoss()(log_probs(), TARGETS, [7, 8], LABELS)
    with pytest.raises(errors.ShapeError, match=r"one for each row of log_probs, found 3; log_probs are time first"):
        CTCLoss()(log_probs(), TARGETS, [7, 7, 7], LABELS)


def test_gradients_are_reduced_across_processes_unchanged() -> None:
    """DistributedDataParallel, here with one process: the hooks on the scores' layer are met once each."""
    torch.manual_seed(0)
    layer, features = torch.nn.Linear(5, 4).to(DEVICE), torch.randn(2, 7, 5, device=DEVICE)
    expected = gradient_of_weight(layer, layer, features)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        # nothing parallel outlives the group: what frees it last joins its threads, and they may want Python's lock
        found = gradient_of_weight(layer, torch.nn.parallel.DistributedDataParallel(layer), features)
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(found, expected)


def gradient_of_weight(layer: torch.nn.Linear, model: torch.nn.Module, features: torch.Tensor) -> torch.Tensor:
    layer.weight.grad = None
    ctc_loss(model(features), TARGETS, FRAMES, LABELS, reduction="mean").backward()
    return layer.weight.grad


@pytest.mark.usefixtures("hidden")
def test_lengths_beside_labels_one_row_after_another_are_looked_at_as_far_as_the_host_knows_them() -> None:
    labels = torch.ones(5, dtype=torch.int64).to(DEVICE)
    with pytest.raises(errors.DTypeError, match="target_lengths: expected integers"):
        ctc_loss(leaf(), labels, FRAMES, torch.tensor([3.5, 2.0]).to(DEVICE))
    with pytest.raises(errors.SeqLossError, match="target_lengths"):
        ctc_loss(leaf(), labels, FRAMES, [3, 1])
    for wrong, words in (
        (torch.tensor(5), r"expected shape \(batch,\)"),
        (LABELS[:, None], r"expected shape \(batch,\)"),
        (LABELS[:1], "expected 2 rows"),
    ):
        with pytest.raises(errors.ShapeError, match=f"target_lengths: {words}"):
            ctc_loss(leaf(), labels, FRAMES, wrong.to(DEVICE))


@pytest.mark.usefixtures("hidden")
def test_a_reduction_weighs_by_the_given_lengths() -> None:
    """A row that is too long for any path is cut on the device, and yet counts with all its labels."""
    labels, counts = torch.ones(42, dtype=torch.int64).to(DEVICE), torch.tensor([2, 40]).to(DEVICE)
    rows = ctc_loss(leaf(), labels, None, counts, infeasible="zero")
    whole = ctc_loss(leaf(), labels, None, counts, infeasible="zero", reduction="labels")
    torch.testing.assert_close(whole, rows.sum() / 42, rtol=1e-6, atol=0)
