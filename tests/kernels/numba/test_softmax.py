"""One frame's sums, where they are hard: many classes, and one that is nearly sure."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from seqloss.kernels.numba import softmax


@njit
def sums(scores, exponentials):
    largest, smallest = softmax.largest_and_smallest(scores, 0, scores.size)
    tops = np.full(16, largest).astype(scores.dtype)
    origins, rounders, rests = np.empty_like(tops), np.empty_like(tops), np.empty_like(tops)
    softmax.prepare_exponentials(tops, origins, rounders, rests, 1)
    softmax.write_exponentials(
        scores, 0, scores.size, largest, smallest, origins[0], rounders[0], rests[0], exponentials, 0
    )  # fmt: skip
    return largest, *softmax.sum_other_exponentials(exponentials, 0, scores.size, np.ones_like(scores), 0)


def frame(scores):
    largest, below, ties = sums(scores, np.empty_like(scores))
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


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("largest", [0.1, 2.345, -7.77, 33.3, 255.9, 256.1, -300.3, 12_345.6, -1e6, 3e7, 1e30])
@pytest.mark.parametrize("distance", [1.234, 10.1, 23.115, 40.468, 62.645, 80.3])
def test_others_are_right_to_two_roundings_though_their_distance_has_more_digits_than_a_score(
    distance, largest, kind
) -> None:
    scores = np.full(37, largest - distance).astype(kind)
    scores[5] = largest
    exact = 36 * np.exp(scores[0].astype(np.longdouble) - scores[5])
    assert frame(scores)[1] == pytest.approx(float(exact), rel=float(2 * np.finfo(kind).eps), abs=0.0)


@pytest.mark.parametrize("ties", [2, 5])
def test_classes_that_share_the_largest_score_count_as_others_but_for_one(ties) -> None:
    scores = np.full(30, -np.inf, np.float32)
    scores[5 : 5 + ties] = 3.0
    assert frame(scores) == (3.0, ties - 1.0)


@pytest.mark.parametrize("ties", [1, 300])
def test_ties_are_counted_to_the_last_among_thousands_of_others(ties) -> None:
    scores = np.random.default_rng(0).uniform(-3.0, -1e-3, 100_000).astype(np.float32)
    scores[::100][:ties] = 0.0
    assert sums(scores, np.empty_like(scores))[2] == ties


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "furthest", [1.0, softmax.NEAR - 1e-3, softmax.NEAR, softmax.NEAR + 1e-3, 104.0, 800.0, np.inf]
)
@pytest.mark.parametrize("classes", [3, 16, 45])
def test_exponentials_are_right_at_any_distance_below_the_largest_score(classes, furthest, kind) -> None:
    """To 2 roundings, and 0 where they would be under the smallest normal number."""
    scores = np.zeros(classes, kind)
    scores[classes // 2], scores[classes - 1] = -furthest, -furthest / 2
    exponentials = np.empty_like(scores)
    sums(scores, exponentials)
    exact = np.exp(scores.astype(np.longdouble))
    exact[exact < np.finfo(kind).tiny] = 0.0
    np.testing.assert_allclose(exponentials.astype(np.longdouble), exact, rtol=float(2 * np.finfo(kind).eps))


def test_a_frame_of_nothing_but_minus_infinity_has_that_for_its_largest() -> None:
    assert frame(np.full(20, -np.inf, np.float32))[0] == -np.inf
