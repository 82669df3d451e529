"""The same row gives the same bits, whatever else is in the batch and however it lies in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import seqloss

from . import problems
from .door import Door

PROBLEM = problems.random(5, 60, 37, 11, seed=4)


def same(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        one, other = np.ascontiguousarray(one), np.ascontiguousarray(other)
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


@pytest.fixture
def whole(door: Door) -> tuple[np.ndarray, np.ndarray]:
    return door.loss_and_grad(PROBLEM.logits, *PROBLEM.args)


def rows(answer: tuple[np.ndarray, np.ndarray], order: object) -> tuple[np.ndarray, ...]:
    return tuple(np.ascontiguousarray(part[order]) for part in answer)


def test_called_twice(door: Door, whole: tuple[np.ndarray, np.ndarray]) -> None:
    same(door.loss_and_grad(PROBLEM.logits, *PROBLEM.args), whole)


def test_a_loss_without_a_gradient_is_the_same(door: Door, whole: tuple[np.ndarray, np.ndarray]) -> None:
    same((door.loss(PROBLEM.logits, *PROBLEM.args),), whole[:1])


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2], [1, 1, 4]], ids=["reversed", "alone", "repeated"])
def test_in_another_batch_or_order(door: Door, whole: tuple[np.ndarray, np.ndarray], order: list[int]) -> None:
    args = (PROBLEM.logits, *PROBLEM.args)
    same(door.loss_and_grad(*(argument[order] for argument in args)), rows(whole, order))


def test_beside_poisoned_infeasible_and_much_longer_rows(door: Door, whole: tuple[np.ndarray, np.ndarray]) -> None:
    logits = np.full((8, 90, 37), np.nan)
    logits[3:, :60] = PROBLEM.logits
    logits[1:3] = 1000.0 * np.random.default_rng(0).normal(size=(2, 90, 37))
    targets = np.full((8, 40), -100)
    targets[3:, :11] = PROBLEM.targets
    targets[:3] = 1
    frames, labels = np.array([90, 90, 30, *PROBLEM.logit_lengths]), np.array([40, 40, 40, *PROBLEM.target_lengths])
    loss, grad = door.loss_and_grad(logits, targets, frames, labels)
    assert np.isnan(loss[0])
    assert loss[2] == np.inf
    same((loss[3:], np.ascontiguousarray(grad[3:, :60])), whole)
    assert not grad[3:, 60:].any()


def test_cut_to_its_own_lengths(door: Door, whole: tuple[np.ndarray, np.ndarray]) -> None:
    for n, (frames, labels) in enumerate(zip(PROBLEM.logit_lengths, PROBLEM.target_lengths, strict=True)):
        found = door.loss_and_grad(PROBLEM.logits[n : n + 1, :frames], PROBLEM.targets[n : n + 1, :labels])
        same(found, (whole[0][n : n + 1], np.ascontiguousarray(whole[1][n : n + 1, :frames])))


@pytest.mark.parametrize("axes", [(1, 0, 2), (0, 2, 1), (2, 1, 0)], ids=["time-first", "classes-second", "reversed"])
def test_transposed_in_memory(precise_door: Door, axes: tuple[int, ...]) -> None:
    whole = precise_door.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
    logits = PROBLEM.logits.astype(precise_door.dtype)
    turned = np.ascontiguousarray(logits.transpose(axes)).transpose(np.argsort(axes))
    assert not turned.flags.c_contiguous
    same(precise_door.loss_and_grad(turned, PROBLEM.targets[:, ::1], *PROBLEM.args[1:]), whole)


def test_every_second_entry_of_a_larger_array(precise_door: Door) -> None:
    whole = precise_door.loss_and_grad(PROBLEM.logits, *PROBLEM.args)
    large = np.full((10, 120, 74), np.nan, precise_door.dtype)
    large[::2, ::2, ::2] = PROBLEM.logits
    wide = np.full((5, 22), -100)
    wide[:, ::2] = PROBLEM.targets
    same(precise_door.loss_and_grad(large[::2, ::2, ::2], wide[:, ::2], *PROBLEM.args[1:]), whole)


def test_expanded_with_a_stride_of_0(precise_door: Door) -> None:
    row = PROBLEM.logits[:1].astype(precise_door.dtype)
    many = np.lib.stride_tricks.as_strided(row, (5, *row.shape[1:]), (0, *row.strides[1:]), writeable=True)
    same(precise_door.loss_and_grad(many, *PROBLEM.args), precise_door.loss_and_grad(many.copy(), *PROBLEM.args))


@pytest.fixture
def thread_counts() -> Iterator[None]:
    before = seqloss.get_num_threads()
    yield
    seqloss.set_num_threads(before)


@pytest.mark.usefixtures("thread_counts")
@pytest.mark.parametrize("count", [2, 3, 7])
def test_on_any_number_of_threads(precise_door: Door, count: int) -> None:
    problem = problems.random(9, 300, 24, 60, seed=6)  # over 1 ms of work: enough to be shared
    seqloss.set_num_threads(1)
    alone = precise_door.loss_and_grad(problem.logits, *problem.args)
    seqloss.set_num_threads(count)
    same(precise_door.loss_and_grad(problem.logits, *problem.args), alone)
