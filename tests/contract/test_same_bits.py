"""The same row gives the same bits, whatever else is in the batch and however it lies in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import seqloss
from seqloss.kernels.ctc import batch as ctc_batch
from seqloss.numpy import ctc_loss_and_grad

from . import problems
from .frontend import Frontend
from .problems import Problem

PROBLEM = problems.random(5, 60, 37, 11, seed=4)


def same(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        one, other = np.ascontiguousarray(one), np.ascontiguousarray(other)
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


@pytest.fixture
def whole(kernel_frontend: Frontend) -> tuple[np.ndarray, np.ndarray]:
    return kernel_frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args)


def rows(answer: tuple[np.ndarray, np.ndarray], order: object) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(part[order]) for part in answer)


def test_called_twice(kernel_frontend: Frontend, whole: tuple[np.ndarray, np.ndarray]) -> None:
    same(kernel_frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args), whole)


def test_a_loss_without_a_gradient_is_the_same(kernel_frontend: Frontend, whole: tuple[np.ndarray, np.ndarray]) -> None:
    same((kernel_frontend.loss(PROBLEM.logits, *PROBLEM.args),), whole[:1])


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2], [1, 1, 4]], ids=["reversed", "alone", "repeated"])
def test_in_another_batch_or_order(
    kernel_frontend: Frontend, whole: tuple[np.ndarray, np.ndarray], order: list[int]
) -> None:
    args = (PROBLEM.logits, *PROBLEM.args)
    same(kernel_frontend.loss_and_grad(*(argument[order] for argument in args)), rows(whole, order))


def test_beside_poisoned_infeasible_and_much_longer_rows(
    kernel_frontend: Frontend, whole: tuple[np.ndarray, np.ndarray]
) -> None:
    logits = np.full((8, 90, 37), np.nan)
    logits[3:, :60] = PROBLEM.logits
    logits[1:3] = 1000.0 * np.random.default_rng(0).normal(size=(2, 90, 37))
    targets = np.full((8, 40), -100)
    targets[3:, :11] = PROBLEM.targets
    targets[:3] = 1
    frames, labels = np.array([90, 90, 30, *PROBLEM.logit_lengths]), np.array([40, 40, 40, *PROBLEM.target_lengths])
    loss, grad = kernel_frontend.loss_and_grad(logits, targets, frames, labels)
    assert np.isnan(loss[0])
    assert loss[2] == np.inf
    same((loss[3:], np.ascontiguousarray(grad[3:, :60])), whole)
    assert not grad[3:, 60:].any()


def test_cut_to_its_own_lengths(kernel_frontend: Frontend, whole: tuple[np.ndarray, np.ndarray]) -> None:
    for n in (1, 4):
        frames, labels = PROBLEM.logit_lengths[n], PROBLEM.target_lengths[n]
        found = kernel_frontend.loss_and_grad(PROBLEM.logits[n : n + 1, :frames], PROBLEM.targets[n : n + 1, :labels])
        same(found, (whole[0][n : n + 1], np.ascontiguousarray(whole[1][n : n + 1, :frames])))


@pytest.mark.parametrize("axes", [(1, 0, 2), (0, 2, 1), (2, 1, 0)], ids=["time-first", "classes-second", "reversed"])
def test_transposed_in_memory(strided_frontend: Frontend, axes: tuple[int, ...]) -> None:
    whole = strided_frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
    logits = PROBLEM.logits.astype(strided_frontend.dtype)
    turned = np.ascontiguousarray(logits.transpose(axes)).transpose(np.argsort(axes))
    assert not turned.flags.c_contiguous
    same(strided_frontend.loss_and_grad(turned, PROBLEM.targets[:, ::1], *PROBLEM.args[1:]), whole)


def test_every_second_entry_of_a_larger_array(strided_frontend: Frontend) -> None:
    whole = strided_frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
    large = np.full((10, 120, 74), np.nan, strided_frontend.dtype)
    large[::2, ::2, ::2] = PROBLEM.logits
    wide = np.full((5, 22), -100)
    wide[:, ::2] = PROBLEM.targets
    same(strided_frontend.loss_and_grad(large[::2, ::2, ::2], wide[:, ::2], *PROBLEM.args[1:]), whole)


def test_expanded_with_a_stride_of_0(strided_frontend: Frontend) -> None:
    row = PROBLEM.logits[:1].astype(strided_frontend.dtype)
    many = np.lib.stride_tricks.as_strided(row, (5, *row.shape[1:]), (0, *row.strides[1:]), writeable=True)
    same(
        strided_frontend.loss_and_grad(many, *PROBLEM.args), strided_frontend.loss_and_grad(many.copy(), *PROBLEM.args)
    )


@pytest.fixture
def thread_counts() -> Iterator[None]:
    before = seqloss.get_num_threads()
    yield
    seqloss.set_num_threads(before)


@pytest.mark.usefixtures("thread_counts")
@pytest.mark.parametrize("count", [2, 3, 7])
def test_on_any_number_of_threads(precise_kernel_frontend: Frontend, count: int) -> None:
    problem = problems.random(9, 300, 24, 60, seed=6)  # over 1 ms of work: enough to be shared
    seqloss.set_num_threads(1)
    alone = precise_kernel_frontend.loss_and_grad(problem.logits, *problem.args)
    seqloss.set_num_threads(count)
    same(precise_kernel_frontend.loss_and_grad(problem.logits, *problem.args), alone)


SHAPES = [(16, 3, 2), (24, 7, 6), (40, 17, 12), (9, 33, 4), (70, 5, 20)]
"""Time, classes, labels: few, for frontends to which each new one costs a compilation."""

ROWS = 50
CASES = [100, pytest.param(10_000, marks=pytest.mark.long)]


def rows_of_all_kinds(shape: tuple[int, int, int], rng: np.random.Generator, dtype: str) -> Problem:
    """Sure, flat, wild, masked and poisoned rows; lengths of which one in a few fits no path, and some are 0."""
    time, classes, labels = shape
    scale = rng.choice([0.0, 0.3, 3.0, 30.0, 3000.0], (ROWS, 1, 1))
    logits = scale * rng.normal(size=(ROWS, time, classes))
    logits[rng.random(logits.shape) < rng.choice([0.0, 0.0, 0.2], (ROWS, 1, 1))] = rng.choice([-1e4, -np.inf, -1e30])
    logits[rng.random(logits.shape) < rng.choice([0.0, 0.0, 0.0, 0.01], (ROWS, 1, 1))] = np.nan
    sure = rng.random(ROWS) < 0.2
    frames = rng.integers(0, time + 1, ROWS)
    targets = rng.integers(1, classes, (ROWS, labels))
    logits[sure, :, 0] += rng.choice([8.0, 30.0])
    counts = np.minimum(rng.integers(0, labels + 1, ROWS), np.maximum(0, frames - rng.integers(-1, 6, ROWS)))
    return Problem(logits.astype(dtype), targets, frames, counts)


@pytest.mark.usefixtures("thread_counts")
@pytest.mark.parametrize("cases", CASES)
def test_random_rows_have_the_numpy_frontends_bits_wherever_they_stand(
    precise_kernel_frontend: Frontend, cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in the whole batch, in another order, in a larger array among others, by strides, on 1 to 3 threads."""
    frontend, rng, losses = precise_kernel_frontend, np.random.default_rng(cases), []
    monkeypatch.setattr(ctc_batch, "WORTH_A_THREAD", 1.0)  # share out even what is not worth it
    shapes = SHAPES[1:2] if frontend.few_shapes and cases == 100 else SHAPES
    for turn in range(cases // ROWS):
        problem = rows_of_all_kinds(shapes[turn % len(shapes)], rng, frontend.dtype)
        args = (problem.logits, *problem.args)
        seqloss.set_num_threads(1)
        expected = ctc_loss_and_grad(*args)
        losses.append(expected[0])
        same(frontend.loss_and_grad(*args), expected)
        for row in rng.permutation(ROWS)[: 4 if frontend.few_shapes else ROWS]:  # a JAX call takes 20 ms to begin
            same(frontend.loss_and_grad(*(part[row : row + 1] for part in args)), rows(expected, slice(row, row + 1)))
        seqloss.set_num_threads(2 + turn % 2)
        same(frontend.loss_and_grad(*args), expected)
        order = rng.permutation(ROWS)
        same(frontend.loss_and_grad(*(part[order] for part in args)), rows(expected, order))
        same_when_padded(frontend, problem, expected, rng)
        if frontend.strides:
            turned = np.asfortranarray(problem.logits)
            same(frontend.loss_and_grad(turned, np.asfortranarray(problem.targets), *args[2:]), expected)
    found = np.concatenate(losses)
    assert found.size == cases
    assert np.isfinite(found).sum() > 0.6 * cases
    assert min(np.isnan(found).sum(), np.isposinf(found).sum()) > 0.02 * cases


def same_when_padded(
    frontend: Frontend, problem: Problem, expected: tuple[np.ndarray, ...], rng: np.random.Generator
) -> None:
    """Every second row of a batch with more frames, more labels and strangers in it."""
    time, classes, labels = *problem.logits.shape[1:], problem.targets.shape[1]
    logits = rng.choice([np.nan, np.inf, 1e4]) * np.ones((2 * ROWS, time + 13, classes), problem.logits.dtype)
    targets, frames = np.full((2 * ROWS, labels + 5), -100), np.full(2 * ROWS, time + 13)
    logits[::2, :time], targets[::2, :labels], frames[::2] = problem.logits, problem.targets, problem.logit_lengths
    logits[1::4], targets[1::4] = rng.normal(size=logits[1::4].shape), rng.integers(1, classes, targets[1::4].shape)
    counts = np.zeros(2 * ROWS, np.int64)
    counts[::2], counts[1::4] = problem.target_lengths, labels + 5
    loss, gradient = frontend.loss_and_grad(logits, targets, frames, counts)
    same((loss[::2], gradient[::2, :time]), expected)
    assert not gradient[::2, time:].any()
