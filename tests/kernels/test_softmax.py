"""One frame's sums, where they are hard: many classes, and one that is nearly sure."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from seqloss.kernels import softmax


@njit
def frame(scores):
    largest = softmax.peak(scores, 0, scores.size)
    below, ties = softmax.others(scores, 0, scores.size, largest, np.ones_like(scores), scores, 0, False)
    return largest, below + (ties - 1.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [1, 2, 7, 8, 9, 15, 16, 17, 511, 512, 513, 5000, 262_144])
def test_the_sum_of_the_others_is_right_to_two_roundings(classes, kind) -> None:
    """In float64, whose blocks are added one after another in the same precision, to 16."""
    scores = (0.1 * np.random.default_rng(classes).standard_normal(classes)).astype(kind)
    largest, others = frame(scores)
    assert largest == scores.max()
    exact = np.exp(np.delete(scores, scores.argmax()).astype(np.longdouble) - largest).sum()
    roundings = 2 if kind is np.float32 else 16
    assert others == pytest.approx(float(exact), rel=float(roundings * np.finfo(kind).eps), abs=0.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_others_of_a_ten_millionth_keep_their_digits(kind) -> None:
    scores = np.full(40, -16.0, kind)
    scores[21] = 0.0
    assert frame(scores)[1] == pytest.approx(39 * np.exp(-16.0), rel=float(2 * np.finfo(kind).eps))


@pytest.mark.parametrize("ties", [2, 5])
def test_classes_that_share_the_largest_score_count_as_others_but_for_one(ties) -> None:
    scores = np.full(30, -np.inf, np.float32)
    scores[5 : 5 + ties] = 3.0
    assert frame(scores) == (3.0, ties - 1.0)


def test_a_frame_of_nothing_but_minus_infinity_has_that_for_its_largest() -> None:
    assert frame(np.full(20, -np.inf, np.float32))[0] == -np.inf
