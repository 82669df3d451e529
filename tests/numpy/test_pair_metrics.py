"""The pair metrics are their definitions, tried at every threshold in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss.errors import DTypeError, LabelError, OptionError, SeqLossError, ShapeError
from seqloss.numpy import equal_error_rate, pair_accuracy, pair_threshold

PAIRS = st.lists(
    st.tuples(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 7.0]), st.booleans()), min_size=2, max_size=9
).filter(lambda pairs: len({same for _, same in pairs}) == 2)


def cuts(pairs: list[tuple[float, bool]]) -> list[float]:
    """A threshold of every kind: accepting all, cutting between distinct scores, accepting none."""
    return [*sorted({score for score, _ in pairs}), np.inf]


def rates(pairs: list[tuple[float, bool]], threshold: float) -> tuple[Fraction, Fraction]:
    """FAR and FRR."""
    same = [score for score, alike in pairs if alike]
    different = [score for score, alike in pairs if not alike]
    far = Fraction(sum(score >= threshold for score in different), len(different))
    return far, Fraction(sum(score < threshold for score in same), len(same))


def accuracy(pairs: list[tuple[float, bool]], threshold: float) -> Fraction:
    return Fraction(sum((score >= threshold) == alike for score, alike in pairs), len(pairs))


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_no_threshold_is_more_accurate_and_it_is_the_lowest_cut_of_the_best(pairs: list[tuple[float, bool]]) -> None:
    scores, same = zip(*pairs, strict=True)
    threshold = pair_threshold(scores, same)
    best = max(accuracy(pairs, cut) for cut in cuts(pairs))
    assert accuracy(pairs, threshold) == best
    assert pair_accuracy(scores, same, threshold) == pytest.approx(float(best), abs=1e-12)
    first = next(cut for cut in cuts(pairs) if accuracy(pairs, cut) == best)
    assert [score >= threshold for score in scores] == [score >= first for score in scores]


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_the_equal_error_rate_is_where_the_interpolated_rates_meet(pairs: list[tuple[float, bool]]) -> None:
    steps = [rates(pairs, cut) for cut in cuts(pairs)]  # FAR falls, FRR rises
    for (far, frr), (next_far, next_frr) in pairwise(steps):
        if far >= frr and next_far <= next_frr:
            before, after = far - frr, next_frr - next_far
            share = before / (before + after) if before + after else Fraction(0)
            expected = far + share * (next_far - far)
            break
    scores, same = zip(*pairs, strict=True)
    assert equal_error_rate(scores, same) == pytest.approx(float(expected), abs=1e-12)


def test_known_values() -> None:
    same = [1, 1, 0, 0]
    assert equal_error_rate([4.0, 3.0, 2.0, 1.0], same) == 0
    assert equal_error_rate([1.0, 2.0, 3.0, 4.0], same) == 1
    assert equal_error_rate([5.0] * 4, same) == 0.5
    assert equal_error_rate([4.0, 1.0, 3.0, 1.0], same) == 0.5
    assert pair_threshold([4.0, 3.0, 2.0, 1.0], same) == 2.5
    assert pair_threshold([2.0, 2.0, 2.0], [1, 1, 0]) == 2.0, "the lowest score accepts all"
    assert pair_threshold([2.0, 2.0, 2.0], [1, 0, 0]) == np.nextafter(2.0, 3.0), "the next number accepts none"


def test_a_threshold_between_neighbouring_numbers_still_cuts_them() -> None:
    low = 1.0
    high = np.nextafter(low, 2.0)
    threshold = pair_threshold([high, low], [True, False])
    assert low < threshold <= high
    assert pair_accuracy([high, low], [True, False], threshold) == 1


def test_scores_of_any_type_of_number() -> None:
    for kind in (np.float16, np.float32, np.int64):
        assert equal_error_rate(np.array([4, 1, 3, 0], kind), np.array([1, 1, 0, 0], np.uint8)) == 0.5


@pytest.mark.parametrize(
    ("scores", "same", "error", "words"),
    [
        ([1.0, 2.0], [1, 1], LabelError, "same: all 2 pairs are the same, expected both kinds"),
        ([1.0, 2.0], [False, False], LabelError, "same: all 2 pairs are different, expected both kinds"),
        ([1.0, 2.0], [0, 2], LabelError, r"same\[1\]: found 2, expected 0 or 1"),
        ([1.0, np.nan], [0, 1], SeqLossError, r"scores\[1\]: found nan, expected a finite number"),
        ([np.inf, 1.0], [0, 1], SeqLossError, r"scores\[0\]: found inf"),
        ([], [], ShapeError, "scores: found no pair"),
        ([1.0], [0, 1], ShapeError, r"same: expected shape \(1,\), that of scores, found \(2,\)"),
        ([[1.0, 2.0]], [[0, 1]], ShapeError, r"scores: expected shape \(pairs,\), found \(1, 2\)"),
        (["a", "b"], [0, 1], DTypeError, "scores: expected numbers"),
        ([1.0, 2.0], [0.0, 1.0], DTypeError, "same: expected booleans, found float64"),
    ],
)
def test_mistakes_are_named(scores: object, same: object, error: type[Exception], words: str) -> None:
    for call in (pair_threshold, equal_error_rate, lambda scores, same: pair_accuracy(scores, same, 0.0)):
        with pytest.raises(error, match=words):
            call(scores, same)


def test_a_threshold_that_is_nan_is_named() -> None:
    with pytest.raises(OptionError, match="threshold: expected a number, found nan"):
        pair_accuracy([1.0, 2.0], [0, 1], np.nan)


def test_a_threshold_in_the_place_of_the_pairs_is_named() -> None:
    with pytest.raises(OptionError, match=r"threshold: expected a number, found \[0, 1\]"):
        pair_accuracy([1.0, 2.0], 0.5, [0, 1])  # type: ignore[arg-type]
