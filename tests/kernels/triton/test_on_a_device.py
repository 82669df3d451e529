"""What only a GPU can show; skipped where there is none.

What the interpreter cannot see is a missing barrier within a program, or a place outside an array. NVIDIA's own tool
sees both, but not what one program hands to another:

    compute-sanitizer --tool memcheck  python tests/kernels/triton/sanitized.py
    compute-sanitizer --tool racecheck python tests/kernels/triton/sanitized.py

(PYTORCH_NO_CUDA_MEMORY_CACHING=1 gives each tensor memory of its own, so that memcheck sees where one ends.)

The contract's suite runs there too, and once more with what only a form's third call does (`replayed.py`).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from seqloss.kernels.triton.ctc import replay
from seqloss.numpy import ctc_loss_and_grad
from seqloss.torch import CTCLoss, ctc_align, ctc_greedy, ctc_loss, ctc_posteriors

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") == "1" or not torch.cuda.is_available(), reason="no CUDA device"
)
CUDA = torch.device("cuda")
ROWS = 50
SHAPES = [(16, 3, 2), (24, 7, 6), (40, 17, 12), (9, 33, 4), (70, 5, 20), (130, 40, 60), (400, 9, 300)]
"""Time, classes, labels."""


def drawn(seed: int, shape: tuple[int, int, int], rows: int = ROWS) -> tuple[np.ndarray, ...]:
    """Flat, usual and wild rows, masked ones, sure ones; uneven lengths, some infeasible.

    Long targets nearly fill their axis, so that they are of several blocks.
    """
    rng = np.random.default_rng([seed, *shape])
    time, classes, labels = shape
    logits = rng.choice([0.0, 0.3, 3.0, 30.0], (rows, 1, 1)) * rng.standard_normal((rows, time, classes))
    logits[rng.random(logits.shape) < rng.choice([0.0, 0.0, 0.2], (rows, 1, 1))] = rng.choice([-1e3, -np.inf])
    logits[rng.random(rows) < 0.2, :, 0] += rng.choice([8.0, 20.0])
    logits[..., 0] = np.maximum(logits[..., 0], -1e3)  # no frame of nothing but -inf
    frames = rng.integers(0, time + 1, rows)
    counts = np.minimum(rng.integers(0, labels + 1, rows), np.maximum(0, frames - rng.integers(-1, 6, rows)))
    if labels > 256:
        frames, counts = time - rng.integers(0, time // 10, rows), labels - rng.integers(0, labels // 20, rows)
    return logits.astype(np.float32), rng.integers(1, classes, (rows, labels)), frames, counts


def on_device(arrays: tuple[np.ndarray, ...]) -> list[torch.Tensor]:
    return [torch.from_numpy(array).to(CUDA) for array in arrays]


def answer(x: torch.Tensor, *args: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.detach().requires_grad_()
    loss = ctc_loss(x, *args, **options)
    (gradient,) = torch.autograd.grad(loss, x, torch.ones_like(loss))
    return loss.detach(), gradient


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def certain(logits: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Minus the log probability of the frames' best classes, (batch,).

    Where they spell the target, the loss is the difference of this and the rest's logarithm, and may be far smaller
    than either: it is off by roundings of these, see the budget's "path" in `tests/contract/tolerances.py`.
    """
    scores = logits.astype(np.float64)
    largest = scores.max(axis=2, keepdims=True)
    each = np.log1p(np.exp(scores - largest).sum(axis=2) - 1.0)
    return np.where(np.arange(logits.shape[1]) < frames[:, None], each, 0.0).sum(axis=1)


@pytest.mark.parametrize("cases", [600, pytest.param(10_000, marks=pytest.mark.long)])
def test_random_rows_agree_with_float64(cases: int) -> None:
    for turn in range(cases // ROWS):
        arrays = drawn(turn, SHAPES[turn % len(SHAPES)])
        expected, exact = ctc_loss_and_grad(arrays[0].astype(np.float64), *arrays[1:])
        loss, gradient = (part.cpu().numpy() for part in answer(*on_device(arrays)))
        np.testing.assert_array_equal(np.isfinite(loss), np.isfinite(expected))
        allowed = 1e-5 * np.abs(expected) + 2e-6 * np.minimum(certain(arrays[0], arrays[2]), 1.0)
        there = np.isfinite(expected)
        assert (np.abs(loss - expected)[there] <= allowed[there] + 1e-37).all(), turn
        error, largest = np.abs(gradient - exact), np.abs(exact).max(axis=(1, 2), keepdims=True)
        assert (error <= 1e-5 + 0 * largest).all(), (turn, error.max())
        assert (error <= 1e-4 * largest + 1e-12).all(), (turn, (error / largest).max())


@pytest.mark.parametrize("shape", [(130, 40, 60), (500, 1024, 100), (1400, 32, 1100)], ids=str)
def test_a_hundred_calls_give_the_same_bits(shape: tuple[int, int, int]) -> None:
    arrays = on_device(drawn(0, shape, rows=8))
    expected = answer(*arrays)
    others = torch.randn(1 << 24, device=CUDA)
    for _ in range(100):
        others.mul_(1.0001)  # so that programs do not always start alike
        assert_same(answer(*arrays), expected)


@pytest.mark.parametrize("shape", [*SHAPES, (1400, 32, 1100)], ids=str)
def test_calls_of_a_form_that_was_seen_before_give_the_bits_of_a_first_one(shape: tuple[int, int, int]) -> None:
    batches = [on_device(drawn(seed, shape, rows=8)) for seed in range(5)]
    replay._plans.clear()
    later = [answer(*arrays) for arrays in batches]
    assert any(plan is not None for plan in replay._plans.values())
    for arrays, found in zip(batches, later, strict=True):
        replay._plans.clear()
        assert_same(found, answer(*arrays))


def test_a_row_has_its_bits_beside_any_others() -> None:
    arrays = on_device(drawn(1, (130, 40, 60)))
    losses, gradient = answer(*arrays)
    for order in (torch.randperm(ROWS), torch.tensor([7]), torch.tensor([3, 3, 9])):
        order = order.to(CUDA)
        assert_same(answer(*(array[order] for array in arrays)), (losses[order], gradient[order]))


def test_a_long_targets_blocks_give_a_rows_bits_however_many_wait_for_each_other() -> None:
    arrays = on_device(drawn(2, (1300, 12, 1100), rows=160))
    losses, gradient = answer(*arrays)
    assert ((arrays[3] >= 1024) & losses.isfinite()).sum() > 132  # of two blocks at least, more than fit at a time
    for rows in (slice(0, 1), slice(17, 19), slice(150, 160)):
        assert_same(answer(*(array[rows] for array in arrays)), (losses[rows], gradient[rows]))


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_nothing_waits_for_the_device(reduction: Any) -> None:
    arrays = on_device(drawn(2, (40, 17, 12)))
    answer(*arrays, reduction=reduction)  # what is found out once may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(2):  # a form's second call, and one like all that follow
            answer(*arrays, reduction=reduction)
        ctc_posteriors(*arrays)
        ctc_align(*arrays)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("shape", [(40, 17, 12), (400, 9, 300)], ids=str)
def test_any_call_of_a_form_is_captured_in_a_graph_and_replayed_on_other_numbers(
    shape: tuple[int, int, int], before: int
) -> None:
    first, second = (on_device(drawn(seed, shape)) for seed in (3, 4))
    fixed = [array.clone() for array in first]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    replay._plans.clear()
    with torch.cuda.stream(stream):
        for _ in range(before):
            answer(*fixed)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = answer(*fixed)
    for arrays in (second, first):
        for place, array in zip(fixed, arrays, strict=True):
            place.copy_(array)
        graph.replay()
        assert_same(found, answer(*arrays))


def test_a_stream_of_ones_own_orders_all_kernels() -> None:
    arrays = on_device(drawn(5, (130, 40, 60)))
    expected = answer(*arrays)
    stream, late = torch.cuda.Stream(), torch.zeros_like(arrays[0])
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        late.copy_(arrays[0])  # what ran on another stream would read zeros
        found = answer(late, *arrays[1:])
    torch.cuda.current_stream().wait_stream(stream)
    assert_same(found, expected)


def test_a_checkpoint_has_the_gradient_that_is_had_without_one() -> None:
    arrays = on_device(drawn(11, (40, 17, 12)))
    expected = answer(*arrays)[1]
    replay._plans.clear()
    for _ in range(3):
        x = arrays[0].detach().requires_grad_()
        checkpoint(lambda x: ctc_loss(x, *arrays[1:]).sum(), x, use_reentrant=False).backward()
        assert_same([x.grad], [expected])


def test_threads_that_start_a_form_at_once_do_not_meet() -> None:
    batches = [on_device(drawn(seed, (130, 40, 60))) for seed in range(4)]
    expected = [answer(*arrays) for arrays in batches]

    def many(number: int) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.default_stream())
        with torch.cuda.stream(stream):
            found = [answer(*batches[number]) for _ in range(25)]
        stream.synchronize()
        for one in found:
            assert_same(one, expected[number])

    with ThreadPoolExecutor(4) as threads:  # which have not met the device before
        list(threads.map(many, range(4)))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device")
def test_tensors_of_a_second_device_are_computed_there() -> None:
    arrays = on_device(drawn(6, (40, 17, 12)))
    found = answer(*(array.to("cuda:1") for array in arrays))
    assert found[1].device == torch.device("cuda", 1)
    assert_same([part.to(CUDA) for part in found], answer(*arrays))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_autocast_hands_on_half_scores_and_their_gradient_is_rounded_once(kind: torch.dtype) -> None:
    linear, features = torch.nn.Linear(9, 17).to(CUDA), torch.randn(ROWS, 40, 9, device=CUDA)
    args = on_device(drawn(7, (40, 17, 12)))[1:]
    with torch.autocast("cuda", kind):
        logits = linear(features)
        logits.retain_grad()
        loss = ctc_loss(logits, *args, reduction="mean", infeasible="zero")
    loss.backward()
    assert (logits.dtype, loss.dtype) == (kind, torch.float32)
    _, exact = answer(logits.detach().float(), *args, reduction="mean", infeasible="zero")
    assert torch.equal(logits.grad, exact.to(kind))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_torch_compile_keeps_one_graph_and_the_bits(backend: str) -> None:
    arrays = on_device(drawn(8, (40, 17, 12)))
    module = CTCLoss(zero_infinity=True)

    def drop_in(x: torch.Tensor, targets: Any, frames: Any, counts: Any) -> torch.Tensor:
        return module(x.transpose(0, 1), targets, frames, counts)

    for function in (ctc_loss, drop_in):
        torch.compiler.reset()
        program, found = torch.compile(function, fullgraph=True, backend=backend), []
        for call in (program, function):
            x = arrays[0].detach().clamp(min=-50.0).requires_grad_()
            loss = call(x, *arrays[1:])
            (gradient,) = torch.autograd.grad(loss, x, torch.ones_like(loss))
            found.append((loss.detach(), gradient))
        assert_same(*found)


def test_too_little_memory_is_torchs_own_error_and_the_next_call_is_right() -> None:
    arrays = on_device(drawn(9, (40, 17, 12)))
    expected = answer(*arrays)
    free, whole = torch.cuda.mem_get_info()
    x = torch.zeros(64, 2000, 500, device=CUDA, requires_grad=True)
    targets = torch.ones(64, 400, dtype=torch.int64, device=CUDA)
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (8 << 20)) / whole)
    try:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            ctc_loss(x, targets)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert x.grad is None
    assert free > 0
    assert_same(answer(*arrays), expected)


def test_alignments_posteriors_and_readings_are_those_of_the_cpu() -> None:
    arrays = drawn(10, (40, 17, 12))
    there, here = on_device(arrays), [torch.from_numpy(array) for array in arrays]
    for name in ("classes", "first", "last"):
        assert torch.equal(getattr(ctc_align(*there), name).cpu(), getattr(ctc_align(*here), name))
    torch.testing.assert_close(ctc_posteriors(*there).cpu(), ctc_posteriors(*here), rtol=0, atol=1e-5)
    for found, expected in zip(ctc_greedy(there[0], there[2]), ctc_greedy(here[0], here[2]), strict=True):
        assert found.labels.tolist() == expected.labels.tolist()
        assert (found.first.tolist(), found.last.tolist()) == (expected.first.tolist(), expected.last.tolist())
