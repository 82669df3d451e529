"""Every frontend gives the definition's loss and gradient, under an uneven upstream gradient, within the budget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss import reference

from . import problems
from .frontend import Frontend
from .problems import NAMED, Problem, uneven
from .tolerances import PUBLISHED, Bounds, bounds


def answers(frontend: Frontend, problem: Problem) -> tuple[Bounds, np.ndarray, np.ndarray]:
    problem = problem.with_logits(frontend.rounded(problem.logits))
    upstream = uneven(len(problem.logits))
    loss, grad = frontend.loss_and_grad(problem.logits, *problem.args, upstream=upstream, **problem.options)
    return bounds(problem, frontend.dtype, upstream, frontend.kernel), loss.astype(np.float64), grad.astype(np.float64)


def shares(found: np.ndarray, expected: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Error over bound; inf where one of the two is no number and the other is not the same."""
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(found - expected)
        share = np.where(error == 0, 0.0, error / bound)
    alike = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return np.where(alike, 0.0, np.where(np.isnan(share), np.inf, share)).astype(np.float64)


def assert_agrees(frontend: Frontend, problem: Problem) -> None:
    allowed, loss, grad = answers(frontend, problem)
    share = shares(loss, allowed.expected_loss, allowed.loss)
    assert (share <= 1).all(), f"loss {loss}, expected {allowed.expected_loss}, {share} of the bound"
    share = shares(grad, allowed.expected_grad, allowed.grad)
    worst = np.unravel_index(share.argmax(), share.shape) if share.size else ()
    assert (share <= 1).all(), (
        f"gradient at {worst}: {grad[worst]}, expected {allowed.expected_grad[worst]}, {share[worst]} of the bound"
    )


@settings(max_examples=problems.examples(60), deadline=None)
@given(data=st.data())
def test_small_batches_agree(frontend: Frontend, data: st.DataObject) -> None:
    problem = data.draw(problems.drawn(frontend.few_shapes))
    assert_agrees(frontend, problem)


@settings(max_examples=problems.examples(50), deadline=None)
@given(data=st.data())
def test_small_batches_of_log_probabilities_agree(precise_frontend: Frontend, data: st.DataObject) -> None:
    problem = data.draw(problems.drawn(precise_frontend.few_shapes, normalize=False))
    assert_agrees(precise_frontend, problem)


@pytest.mark.parametrize("name", NAMED)
def test_large_and_hard_batches_agree(precise_frontend: Frontend, name: str) -> None:
    assert_agrees(precise_frontend, NAMED[name])


@pytest.mark.parametrize("name", NAMED)
def test_float32_gradients_keep_the_published_bounds(float32_frontend: Frontend, name: str) -> None:
    allowed, _, grad = answers(float32_frontend, NAMED[name])
    error = np.abs(grad - allowed.expected_grad)
    weights = np.abs(uneven(len(error)))[:, None]
    absolute, relative = PUBLISHED[float32_frontend.kernel]
    assert (error.max(axis=2) <= absolute * weights).all()
    assert (error.max(axis=(1, 2)) <= relative * np.abs(allowed.expected_grad).max(axis=(1, 2))).all()


@pytest.mark.parametrize("margin", [8.0, 16.0, 40.0])
def test_zeros_for_a_sure_model_would_not_pass(float32_frontend: Frontend, margin: float) -> None:
    allowed = bounds(problems.sure(margin), "float32", np.ones(1))
    largest = np.abs(allowed.expected_grad).max(axis=2)  # (batch, time)
    assert (allowed.grad.max(axis=2) < 1e-4 * largest).all()
    assert (allowed.loss < 4e-6 * allowed.expected_loss + 1e-12).all()


@pytest.mark.parametrize("margin", [30.0, 40.0, 80.0])
def test_the_loss_of_a_very_sure_model_is_above_zero_and_right_to_two_percent(
    precise_frontend: Frontend, margin: float
) -> None:
    """The sum of log p(best) keeps its digits; only the other paths, a hundredth of it here, vanish beside 1."""
    problem = problems.sure(margin)
    problem = problem.with_logits(precise_frontend.rounded(problem.logits))
    expected, _ = reference.ctc_loss_and_grad(problem.logits, *problem.args)
    np.testing.assert_allclose(precise_frontend.loss(problem.logits, *problem.args), expected, rtol=0.02)
