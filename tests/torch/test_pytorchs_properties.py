"""What PyTorch's tests demand of its CTC loss without a generator for it: our own tests of the same properties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from seqloss.torch import CTCLoss, ctc_align, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors, functional

from .pytorch_samples import FUNCTIONS

TORCH = torch.nn.functional.ctc_loss
TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 1]]), torch.tensor([7, 5]), torch.tensor([3, 2])
EACH = pytest.mark.parametrize("loss", FUNCTIONS.values(), ids=FUNCTIONS)
Loss = Callable[..., torch.Tensor]


def scores(time: int = 7, batch: int = 2, classes: int = 4, kind: torch.dtype = torch.float64) -> torch.Tensor:
    values = np.random.default_rng([time, batch, classes]).normal(size=(time, batch, classes))
    return torch.from_numpy(values).to(kind).log_softmax(2).requires_grad_()


def labels(*shape: int, classes: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(1, classes, shape))


def answer(loss: Loss, x: torch.Tensor, *args: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.detach().requires_grad_()
    found = loss(x, *args, **options)
    return found.detach(), torch.autograd.grad(found.sum(), x)[0]


@EACH
@pytest.mark.parametrize("where", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("frames", "counts", "width"),
    [([50, 50, 51], [30, 25, 20], 30), ([50, -1, 50], [30, 25, 20], 30), ([50] * 3, [-1] * 3, 30),
     ([50] * 3, [30, 25, 20], 29), ([50] * 2, [30, 25, 20], 30), ([50] * 3, [30, 25], 30)],
)  # fmt: skip
def test_lengths_that_do_not_fit_are_refused(
    loss: Loss, where: str, frames: list[int], counts: list[int], width: int
) -> None:
    log_probs, targets = scores(50, 3, 15).detach().to(where), labels(3, width, classes=15).to(where)
    for lengths in ((frames, counts), (torch.tensor(frames), torch.tensor(counts))):
        with pytest.raises(RuntimeError, match=r"input_lengths|target_lengths"):
            loss(log_probs, targets, *lengths)


@EACH
@pytest.mark.parametrize("place", [2, 3])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bool])
def test_lengths_that_are_no_integers_are_refused(loss: Loss, place: int, kind: torch.dtype) -> None:
    args = [scores(), TARGETS, FRAMES, LABELS]
    args[place] = args[place].to(kind)
    for call in (loss, TORCH):
        with pytest.raises(RuntimeError, match="integ"):
            call(*args)


@pytest.mark.long
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_targets_of_over_a_thousand_labels_have_torchs_value_and_gradient(kind: torch.dtype) -> None:
    args = labels(1, 1200, classes=3), [4000], [1200]
    log_probs = scores(4000, 1, 3, kind)
    expected = answer(TORCH, log_probs.double(), *args, reduction="sum")
    for loss in FUNCTIONS.values():
        assert_close(answer(loss, log_probs, *args, reduction="sum"), tuple(x.to(kind) for x in expected))


@EACH
@pytest.mark.parametrize("count", [255, 256, 257])
def test_targets_around_the_limit_of_another_implementation_are_no_special_case(loss: Loss, count: int) -> None:
    args = labels(1, count, classes=10).int(), torch.tensor([500]).int(), torch.tensor([count]).int()
    log_probs = scores(500, 1, 10)
    assert_close(answer(loss, log_probs, *args), answer(TORCH, log_probs, *args))


@EACH
@pytest.mark.parametrize("concatenated", [True, False])
def test_zero_infinity_makes_an_infeasible_row_0_and_leaves_the_others(loss: Loss, concatenated: bool) -> None:
    counts = [60, 25, 20]
    targets = labels(3, 60, classes=15)
    if concatenated:
        targets = torch.cat([row[:count] for row, count in zip(targets, counts, strict=True)])
    log_probs = scores(50, 3, 15)
    for reduction in ("none", "mean", "sum"):
        args = (log_probs, targets, [50] * 3, counts, 0, reduction, True)
        value, gradient = answer(loss, *args)
        assert_close((value, gradient), answer(TORCH, *args))
        assert gradient.isfinite().all()
        assert not gradient[:, 0].any()


@EACH
def test_a_row_without_labels_is_the_path_of_blanks(loss: Loss) -> None:
    log_probs = scores(50, 3, 15)
    blanks = -log_probs.detach().sum(0)[:, 0]
    for targets, counts in ((labels(0), [0, 0, 0]), (labels(3, 0), [0, 0, 0]), (labels(9), [0, 9, 0])):
        value, gradient = answer(loss, log_probs, targets, [50] * 3, counts, reduction="none")
        empty = torch.tensor(counts) == 0
        assert (value >= 0).all()
        assert_close(value[empty], blanks[empty])
        assert_close((value, gradient), answer(TORCH, log_probs, targets, [50] * 3, counts, reduction="none"))


@EACH
def test_a_row_without_frames_is_0_without_labels_and_inf_with_one(loss: Loss) -> None:
    for counts in ([0, 0], [1, 0], [0, 1]):
        for zero_infinity in (False, True):
            args = (scores(), TARGETS, torch.tensor([0, 5]), torch.tensor(counts), 0, "none", zero_infinity)
            assert_close(answer(loss, *args), answer(TORCH, *args))


@EACH
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_single_row_has_the_loss_of_a_batch_of_one_in_every_form(loss: Loss, reduction: str) -> None:
    log_probs, targets = scores(40, 1, 3), labels(1, 12, classes=3)
    for row_targets in (targets, targets[0]):
        for lengths in (([40], [12]), ((40,), (12,)), (torch.tensor([40]), torch.tensor([12]))):
            expected = answer(TORCH, log_probs, targets, *lengths, reduction=reduction)
            assert_close(answer(loss, log_probs, row_targets, *lengths, reduction=reduction), expected)
            value, gradient = answer(loss, log_probs[:, 0], row_targets, *lengths, reduction=reduction)
            assert value.shape == ()
            assert_close((value, gradient), (expected[0].reshape(()), expected[1][:, 0]))
        scalars = torch.tensor(40), torch.tensor(12)
        assert_close(loss(log_probs[:, 0], row_targets, *scalars), loss(log_probs, targets, [40], [12]))


@EACH
@pytest.mark.parametrize("kinds", [(torch.int32, torch.int64, torch.int32), (torch.int64, torch.int32, torch.int64)])
def test_targets_and_lengths_may_be_of_different_integer_types(loss: Loss, kinds: tuple[torch.dtype, ...]) -> None:
    args = [x.to(kind) for x, kind in zip((TARGETS, FRAMES, LABELS), kinds, strict=True)]
    assert_close(answer(loss, scores(), *args), answer(TORCH, scores(), *args))


@EACH
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("empty", [[], [0, 2], [0, 1, 2, 3]])
def test_the_gradient_behind_a_softmax_passes_gradcheck_with_short_and_empty_rows(
    loss: Loss, vary: bool, empty: list[int]
) -> None:
    counts = torch.tensor([3, 4, 2, 1])
    counts[empty] = 0
    frames = torch.tensor([12, 9, 11, 10]) if vary else torch.full((4,), 12)
    x = scores(12, 4, 5).detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: loss(x.log_softmax(2), labels(4, 4, classes=5), frames, counts), x, fast_mode=True
    )


@EACH
def test_an_upstream_gradient_of_any_stride_gives_torchs_gradient(loss: Loss) -> None:
    for upstream in (torch.tensor(2.0).expand(2), torch.arange(1.0, 5.0)[::2], torch.tensor([0.0, -1.0])):
        x, y = scores(), scores()
        loss(x, TARGETS, FRAMES, LABELS, reduction="none").backward(upstream.double())
        TORCH(y, TARGETS, FRAMES, LABELS, reduction="none").backward(upstream.double())
        assert_close(x.grad, y.grad)


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], Any]] = {
    "default dtype": default_dtype,
    "deterministic": deterministic,
    "default device": lambda: torch.device("meta"),
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@EACH
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_pytorch_leave_bits_type_and_device(loss: Loss, name: str) -> None:
    for kind in (torch.float32, torch.float64):
        for lengths in ((FRAMES, LABELS), (FRAMES.tolist(), LABELS.tolist())):
            x = scores(kind=kind)
            expected = answer(loss, x, TARGETS, *lengths)
            with ExitStack() as stack:
                stack.enter_context(SETTINGS[name]())
                found = answer(loss, x, TARGETS, *lengths)
            for one, other in zip(found, expected, strict=True):
                assert torch.equal(one, other)
                assert (one.dtype, one.device) == (other.dtype, other.device)


@EACH
def test_in_inference_mode_the_loss_is_an_inference_tensor_of_the_same_bits(loss: Loss) -> None:
    with torch.inference_mode():
        found, copied = loss(scores(), TARGETS, FRAMES, LABELS), scores().clone()
    assert found.is_inference()
    assert torch.equal(found, loss(copied, TARGETS, FRAMES, LABELS))
    assert torch.equal(found, loss(scores(), TARGETS, FRAMES, LABELS).detach())


@EACH
def test_threads_that_share_a_leaf_add_up_their_gradients(loss: Loss) -> None:
    def work(row: int) -> torch.Tensor:
        part = (slice(row, row + 1),)
        value = loss(x[:, part[0]], TARGETS[part], FRAMES[part], LABELS[part], reduction="sum")
        value.backward()
        return value.detach()

    x, y = scores(), scores()
    with ThreadPoolExecutor(2) as pool:
        values = [*pool.map(work, [0, 1])]
    expected = TORCH(y, TARGETS, FRAMES, LABELS, reduction="sum")
    expected.backward()
    assert_close(sum(values), expected.detach())
    assert_close(x.grad, y.grad)


def scripted_call(x: torch.Tensor) -> torch.Tensor:
    return functional.ctc_loss(x, TARGETS, FRAMES, LABELS)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize(
    "function", [scripted_call, functional.ctc_loss, ctc_loss, ctc_align, ctc_check, ctc_greedy, ctc_posteriors]
)
def test_torch_jit_script_names_the_function_that_it_cannot_compile(function: Any) -> None:
    name = "ctc_loss" if function is scripted_call else function.__name__
    with pytest.raises(RuntimeError, match=rf"{name} cannot be compiled by torch\.jit\.script: .*call {name} on its"):
        torch.jit.script(function)


def test_the_module_is_given_by_keyword_and_by_place_as_torchs() -> None:
    for kind in (CTCLoss, torch.nn.CTCLoss):
        found = kind(reduction="sum", blank=0)(
            target_lengths=LABELS, input_lengths=FRAMES, targets=TARGETS, log_probs=scores()
        )
        assert_close(found, TORCH(scores(), TARGETS, FRAMES, LABELS, 0, "sum", False))
