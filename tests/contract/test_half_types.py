"""float16 and bfloat16: computed in float32, answered in float32, rounded once."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss import errors, reference

from . import problems
from .frontend import Frontend
from .tolerances import STORED

PROBLEM = problems.random(4, 40, 12, 8)


def test_the_loss_has_the_type_that_it_is_computed_in(frontend: Frontend) -> None:
    assert frontend.loss(PROBLEM.logits, *PROBLEM.args).dtype == frontend.computed_in


def test_the_loss_is_that_of_the_rounded_scores_in_float32(half_frontend: Frontend) -> None:
    rounded = half_frontend.rounded(PROBLEM.logits)
    assert (
        half_frontend.loss(PROBLEM.logits, *PROBLEM.args) == half_frontend.of("float32").loss(rounded, *PROBLEM.args)
    ).all()


def test_upstream_is_folded_in_before_the_only_rounding(half_frontend: Frontend) -> None:
    upstream = np.array([1.0, -1 / 3, 1 / 7, 5.3])
    rounded = half_frontend.rounded(PROBLEM.logits)
    _, exact = half_frontend.of("float32").loss_and_grad(rounded, *PROBLEM.args, upstream=upstream)
    _, found = half_frontend.loss_and_grad(PROBLEM.logits, *PROBLEM.args, upstream=upstream)
    assert (found == half_frontend.rounded(exact)).all()
    unit, least = STORED[half_frontend.dtype]
    assert (np.abs(found - exact) <= unit * np.abs(exact) + least).all()


def test_a_loss_scale_keeps_gradients_that_underflow_in_float16(half_frontend: Frontend) -> None:
    problem = problems.sure(22.0, time=60, labels=10)
    rounded = half_frontend.rounded(problem.logits)
    _, exact = half_frontend.of("float32").loss_and_grad(rounded, *problem.args)
    assert np.abs(exact).max() < 2.0**-24  # every entry is under float16's smallest
    _, scaled = half_frontend.loss_and_grad(rounded, *problem.args, upstream=[2.0**20])
    np.testing.assert_array_equal(scaled, half_frontend.rounded(exact * 2.0**20))
    assert scaled.any(axis=2).all()


ARGS = np.array([[1, 2], [2, 2], [1, 0]]), np.array([20, 12, 17]), np.array([2, 2, 1])


def scores_of(classes: int) -> np.ndarray:
    """A row of scores that are all alike, and two of random ones: (3, 20, classes)."""
    scores = np.random.default_rng(0).normal(size=(3, 20, classes)) * 3.0
    scores[0] = 0.0
    return scores


def assert_log_probabilities_are_taken_for_what_they_are(frontend: Frontend, classes: int) -> None:
    """Those of the framework's own `log_softmax` in this type: no function refuses them, and the loss is right."""
    scores, options = frontend.rounded(scores_of(classes)), {"normalize": False}
    log_probs = frontend.log_softmax(scores)
    if classes == 1000 or frontend.dtype == "bfloat16":  # float32 frames with as much are refused
        assert np.exp(log_probs.astype(np.float64)).sum(axis=2).max() > 1.001
    loss, gradient = frontend.loss_and_grad(log_probs, *ARGS, **options)
    exact = frontend.of("float32").loss(log_probs, *ARGS, **options, validate=False)
    np.testing.assert_array_equal(loss, exact)
    np.testing.assert_allclose(loss, reference.ctc_loss_and_grad(scores, *ARGS)[0], rtol=0.02)
    used = np.arange(20) < ARGS[1][:, None]
    np.testing.assert_allclose(-gradient.sum(axis=2, dtype=np.float64), used, atol=0.02)
    assert np.isfinite(frontend.posteriors(log_probs, *ARGS, **options)).all()
    assert frontend.check(log_probs, *ARGS, **options).ok
    if frontend.aligns:
        assert np.isfinite(frontend.align(log_probs, *ARGS, **options).total).all()


@pytest.mark.parametrize("classes", [3, 1000])
def test_log_probabilities_of_a_half_type_are_not_refused_for_its_rounding(
    half_frontend: Frontend, classes: int
) -> None:
    assert_log_probabilities_are_taken_for_what_they_are(half_frontend, classes)


@pytest.mark.parametrize("classes", [3, 1000])
def test_raw_scores_of_a_half_type_are_refused(half_frontend: Frontend, classes: int) -> None:
    scores = np.abs(scores_of(classes)) / 100.0
    words = "logits.0, 0.: with normalize=False .*apply log_softmax once"
    for function in (half_frontend.loss, half_frontend.posteriors, *[half_frontend.align] * half_frontend.aligns):
        half_frontend.refuses_scores(
            lambda f=function: np.asarray(getattr(x := f(scores, *ARGS, normalize=False), "total", x)),
            errors.NormalizationError,
            words,
        )
    report = half_frontend.check(scores, *ARGS, normalize=False)
    assert report.counts == {"normalization": 3}
