"""Scores, thresholds, precision and recall against plain computations."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloss.errors import DTypeError, LabelError, OptionError, SeqLossError, ShapeError
from seqloss.numpy import ErrorDistribution, choose_threshold, measure_detection


def test_scores_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(0)
    errors = np.abs(rng.normal(size=(4, 25, 3)) @ rng.normal(size=(3, 3)))
    found = ErrorDistribution.fit(errors)
    points = errors.reshape(-1, 3)
    np.testing.assert_allclose(found.mean, points.mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(points.T, bias=True))
    other = rng.normal(size=(2, 5, 3))
    inverse = np.linalg.inv(np.cov(points.T, bias=True))
    expected = [[(e - points.mean(0)) @ inverse @ (e - points.mean(0)) for e in row] for row in other]
    np.testing.assert_allclose(found.score(other), expected)
    np.testing.assert_allclose(found.score(errors).mean(), 3)  # the number of features


def test_a_repeated_and_a_constant_feature_do_no_harm() -> None:
    errors = np.abs(np.random.default_rng(0).normal(size=(50, 1)))
    one = ErrorDistribution.fit(errors).score([[2.0]])
    three = ErrorDistribution.fit(np.hstack([errors, errors, 0 * errors])).score([[2.0, 2.0, 0.0]])
    np.testing.assert_allclose(three, one, rtol=1e-3)
    assert np.isfinite(ErrorDistribution.fit(np.zeros((5, 2))).score([[0.0, 0.0]])).all()


def test_bad_errors_are_refused() -> None:
    with pytest.raises(ShapeError, match="found 3 points of 3 features, expected at least 4"):
        ErrorDistribution.fit(np.ones((3, 3)))
    with pytest.raises(DTypeError, match=r"errors\[1, 0\]: found nan, expected finite numbers"):
        ErrorDistribution.fit([[1.0], [np.nan], [2.0]])
    with pytest.raises(ShapeError, match=r"errors: expected shape \(\.\.\., 1\), found \(3, 2\)"):
        ErrorDistribution.fit([[1.0], [3.0], [2.0]]).score(np.ones((3, 2)))


def plain_detection(scores: list[float], truth: list[bool], threshold: float, beta: float) -> float:
    """F-beta from counts of hits, false alarms and misses; 0 without hits."""
    hits = sum(s > threshold and t for s, t in zip(scores, truth, strict=True))
    false = sum(s > threshold and not t for s, t in zip(scores, truth, strict=True))
    missed = sum(s <= threshold and t for s, t in zip(scores, truth, strict=True))
    return (1 + beta**2) * hits / ((1 + beta**2) * hits + beta**2 * missed + false)


PAIRS = st.tuples(st.integers(0, 6), st.booleans())


@given(
    st.lists(PAIRS, min_size=1, max_size=12).filter(lambda pairs: any(truth for _, truth in pairs)),
    st.sampled_from([0.1, 0.5, 1.0, 2.0]),
)
def test_no_threshold_has_a_larger_f_beta(pairs: list[tuple[int, bool]], beta: float) -> None:
    scores, truth = [float(s) for s, _ in pairs], [t for _, t in pairs]
    chosen = choose_threshold(scores, truth, beta=beta)
    found = measure_detection(scores, truth, chosen, beta=beta).f_beta
    best = max(plain_detection(scores, truth, threshold, beta) for threshold in [-1, *scores])
    assert found == pytest.approx(plain_detection(scores, truth, chosen, beta))
    assert found == pytest.approx(best)


def test_precision_and_recall_by_hand() -> None:
    scores, truth = [1.0, 2.0, 3.0, 4.0, 5.0], [False, True, False, True, True]
    found = measure_detection(scores, truth, 2.5)
    assert found[:2] == (2 / 3, 2 / 3)
    nothing = measure_detection(scores, truth, 9.0)
    assert np.isnan(nothing.precision)
    assert nothing.recall == 0


def test_a_small_beta_prefers_precision() -> None:
    scores = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    truth = [False, True, False, True, False, True]
    assert choose_threshold(scores, truth, beta=0.1) == 5.5
    assert choose_threshold(scores, truth, beta=3.0) == 1.5


def test_without_anomalies_the_threshold_is_a_quantile() -> None:
    scores = np.random.default_rng(0).uniform(size=1000)
    threshold = choose_threshold(scores, quantile=0.9)
    assert (scores > threshold).mean() == pytest.approx(0.1, abs=2e-3)


def test_bad_scores_and_options_are_refused() -> None:
    with pytest.raises(ShapeError, match="found none, expected at least one"):
        choose_threshold([])
    with pytest.raises(ShapeError, match=r"anomalous: expected shape \(1,\), that of scores, found \(2,\)"):
        choose_threshold([1.0], [True, False])
    with pytest.raises(OptionError, match="found no anomaly, expected at least one"):
        choose_threshold([1.0], [False])
    with pytest.raises(OptionError, match="quantile: found 2, expected a share from 0 to 1"):
        choose_threshold([1.0], quantile=2)
    with pytest.raises(OptionError, match="beta: found 0, expected a positive number"):
        measure_detection([1.0], [True], 0.0, beta=0)


def measure_at_2(scores: Any, anomalous: Any, **options: Any) -> object:
    return measure_detection(scores, anomalous, 2.0, **options)


@pytest.mark.parametrize("function", [measure_at_2, choose_threshold])
@pytest.mark.parametrize(
    ("scores", "anomalous", "error", "message"),
    [
        ([1.0, 2.0, 3.0, 9.0], [1, 1, 1, -1], LabelError, r"anomalous\[3\]: found -1, expected 0 or 1; .*codes == -1"),
        ([1.0, 9.0], ["False", "True"], DTypeError, "anomalous: expected booleans, found <U5"),
        ([1.0, 9.0], [0.0, 1.0], DTypeError, "anomalous: expected booleans, found float64"),
        ([1.0, np.nan], [False, True], SeqLossError, r"scores\[1\]: found nan, expected a finite number"),
        ([1.0, np.inf], [False, True], SeqLossError, r"scores\[1\]: found inf, expected a finite number"),
        (["1.0", "9.0"], [False, True], DTypeError, "scores: expected numbers, found <U3"),
        ([[1.0], [9.0]], [[False], [True]], ShapeError, r"scores: expected shape \(n,\), found \(2, 1\)"),
        ([[1.0], [9.0, 2.0]], [False, True], ShapeError, "scores: found rows of uneven length"),
    ],
)  # fmt: skip
def test_scores_and_kinds_that_would_be_misread_are_refused(
    function: Any, scores: Any, anomalous: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        function(scores, anomalous)


@pytest.mark.parametrize("function", [measure_at_2, choose_threshold])
@pytest.mark.parametrize("beta", ["1", np.inf, np.nan, -1])
def test_a_beta_that_is_no_positive_number_is_refused(function: Any, beta: Any) -> None:
    with pytest.raises(OptionError, match=f"beta: found {beta!r}, expected a positive number"):
        function([1.0, 9.0], [False, True], beta=beta)


@pytest.mark.parametrize("threshold", [np.nan, "6", None, np.ones(1)])
def test_a_threshold_that_is_no_number_is_refused(threshold: Any) -> None:
    with pytest.raises(OptionError, match=re.escape(f"threshold: found {threshold!r}, expected a number")):
        measure_detection([1.0, 9.0], [False, True], threshold)


def test_zeros_and_ones_are_booleans() -> None:
    scores = [1.0, 5.0, 7.0, 9.0]
    assert choose_threshold(scores, [0, 0, 1, 1]) == choose_threshold(scores, [False, False, True, True]) == 6.0
    assert measure_detection(scores, np.array([0, 0, 1, 1]), 4.0).recall == 1


def test_f_beta_is_0_without_a_hit_and_nan_where_there_was_nothing_to_find_or_to_call() -> None:
    assert measure_detection([1.0, 2.0], [True, False], 9.0).f_beta == 0
    assert measure_detection([1.0, 2.0], [False, False], 0.0).f_beta == 0
    assert np.isnan(measure_detection([1.0, 2.0], [False, False], 9.0)).all()
    assert np.isnan(measure_detection([], [], 9.0)).all()


def test_if_all_are_anomalies_the_threshold_is_just_below_the_lowest() -> None:
    assert choose_threshold([3.0, 2.0], [True, True]) == np.nextafter(2.0, -np.inf)


@pytest.mark.parametrize("start", [1.0, np.nextafter(1.0, 2.0), 5e-324])
def test_neighbouring_numbers_are_told_apart(start: float) -> None:
    above = np.nextafter(start, np.inf)
    threshold = choose_threshold([start, above], [False, True])
    assert measure_detection([start, above], [False, True], threshold).f_beta == 1
