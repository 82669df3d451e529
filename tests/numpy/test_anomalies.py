"""Scores, thresholds, precision and recall against plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloss.errors import DTypeError, OptionError, ShapeError
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
    with pytest.raises(ShapeError, match="anomalous: expected the shape of scores"):
        choose_threshold([1.0], [True, False])
    with pytest.raises(OptionError, match="found no anomaly, expected at least one"):
        choose_threshold([1.0], [False])
    with pytest.raises(OptionError, match="quantile: found 2, expected a share from 0 to 1"):
        choose_threshold([1.0], quantile=2)
    with pytest.raises(OptionError, match="beta: found 0, expected a positive number"):
        measure_detection([1.0], [True], 0.0, beta=0)
