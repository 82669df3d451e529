"""The Hessian-vector product of the CPU kernel and of the formula agree with each other and with the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss import contract
from seqloss.formulas.ctc.second_derivative import hessian_vector_product
from seqloss.kernels.ctc.batch import loss_and_grad, multiply_hessian
from seqloss.kernels.ctc.second_derivative import EXP, POSTERIOR, SOFTMAX
from seqloss.kernels.numba import threads
from seqloss.numpy.namespace import NumPyNamespace

from ...contract.problems import NAMED, Problem

GRADIENTS = {"softmax": (SOFTMAX, True), "posterior": (POSTERIOR, False), "exp": (EXP, False)}


def batch_of(problem: Problem) -> contract.Batch:
    return contract.validate(problem.logits.shape, *problem.args, blank=problem.blank, values=False)


def by_kernel(problem: Problem, direction: np.ndarray, of: str, kind: type = np.float64) -> np.ndarray:
    code, normalize = GRADIENTS[of]
    logits, direction = problem.logits.astype(kind), direction.astype(kind)
    return multiply_hessian(logits, batch_of(problem), direction, normalize=normalize, gradient=code)


def by_formula(problem: Problem, direction: np.ndarray, of: str) -> np.ndarray:
    """In float64, padded by one label, of which the formula needs at least one."""
    targets = np.pad(problem.targets, ((0, 0), (0, 1)), constant_values=0)
    integers = (targets, problem.logit_lengths, problem.target_lengths)
    with np.errstate(all="ignore"):
        return hessian_vector_product(
            NumPyNamespace(), problem.logits, *(x.astype(np.int32) for x in integers), direction,
            blank=problem.blank % problem.logits.shape[2],
            normalize=GRADIENTS[of][1], gradient=of,  # type: ignore[arg-type]
        )  # fmt: skip


def direction_for(problem: Problem) -> np.ndarray:
    return np.random.default_rng(1).normal(size=problem.logits.shape)


@pytest.mark.parametrize("of", ["softmax", "posterior"])
@pytest.mark.parametrize("name", NAMED)
def test_kernel_and_formula_agree_on_large_and_hard_batches(name: str, of: str) -> None:
    problem = NAMED[name]
    direction = direction_for(problem)
    found, expected = by_kernel(problem, direction, of), by_formula(problem, direction, of)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    near = by_kernel(problem, direction, of, np.float32)
    rounded = problem.with_logits(problem.logits.astype(np.float32).astype(np.float64))
    exact = by_kernel(rounded, direction.astype(np.float32).astype(np.float64), of)
    np.testing.assert_allclose(near, exact, rtol=2.0**-22, atol=1e-6)


def small(seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    targets = np.array([[1, 2, 2], [3, 1, 0], [0, 0, 0], [2, 2, 2]])
    return Problem(rng.normal(size=(4, 7, 4)), targets, np.array([7, 5, 4, 6]), np.array([3, 2, 0, 3]), blank=0)


@pytest.mark.parametrize("of", GRADIENTS)
def test_the_product_is_the_slope_of_the_gradient(of: str) -> None:
    problem, direction, step = small(), direction_for(small()), 1e-6
    if of == "exp":  # the slope of exp is its own product; the rest is that of the posterior
        expected = by_kernel(problem, direction, "posterior") + np.where(
            np.arange(7)[None, :, None] < problem.logit_lengths[:, None, None], np.exp(problem.logits) * direction, 0.0
        )
    else:
        normalize = GRADIENTS[of][1]
        above, below = (
            loss_and_grad(problem.logits + side * step * direction, batch_of(problem), normalize=normalize)[2]
            for side in (1, -1)
        )
        expected = (above - below) / (2 * step)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(by_kernel(problem, direction, of), expected, atol=2e-9)


def test_the_matrix_is_symmetric() -> None:
    problem = small()
    rows = [by_kernel(problem, one.reshape(4, 7, 4), "softmax").ravel() for one in np.eye(112)]
    np.testing.assert_allclose(rows, np.transpose(rows), atol=1e-15)


def test_a_constant_added_to_a_frame_changes_nothing() -> None:
    problem = small()
    constant = np.broadcast_to(np.random.default_rng(2).normal(size=(4, 7, 1)), (4, 7, 4))
    np.testing.assert_allclose(by_kernel(problem, constant, "softmax"), 0.0, atol=1e-15)


def test_one_thread_gives_the_same_bits_as_two_and_weights_are_factors() -> None:
    problem = NAMED["phone"]
    direction, before = direction_for(problem), threads.get_num_threads()
    weights = np.linspace(-1.0, 2.0, len(problem.logits))
    try:
        threads.set_num_threads(1)
        one = by_kernel(problem, direction, "softmax")
        threads.set_num_threads(2)
        assert np.array_equal(by_kernel(problem, direction, "softmax"), one)
    finally:
        threads.set_num_threads(before)
    weighted = multiply_hessian(problem.logits, batch_of(problem), direction, weights=weights)
    np.testing.assert_allclose(weighted, one * weights[:, None, None], rtol=1e-12, atol=1e-15)


def test_rows_without_a_path_are_0_and_non_finite_or_refused_rows_are_nan_in_their_frames() -> None:
    problem = small()
    logits, targets = problem.logits.copy(), problem.targets.copy()
    logits[0, 2, 1], logits[1, 5:] = np.nan, np.nan
    targets[3, 1] = 9
    frames = problem.logit_lengths.copy()
    broken = Problem(logits, targets, frames, problem.target_lengths, blank=0)
    direction = direction_for(problem)
    direction[1, 5:] = np.nan
    for found in (by_kernel(broken, direction, "softmax"), by_formula(broken, direction, "softmax")):
        assert np.isnan(found[0]).all()
        assert np.isnan(found[3, :6]).all()
        assert not found[3, 6:].any()
        assert np.isfinite(found[1, :5]).all()
        assert not found[1, 5:].any()
    closed = Problem(problem.logits, problem.targets, np.array([3, 5, 4, 4]), problem.target_lengths, blank=0)
    for found in (by_kernel(closed, direction, "posterior"), by_formula(closed, direction, "posterior")):
        assert not found[[0, 3]].any()
        assert found[1, :5].any()
