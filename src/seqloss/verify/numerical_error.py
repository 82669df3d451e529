"""The numerical error of an implementation against the float64 reference."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.definition import beyond_masks, exact_loss_and_grad, reference_loss_and_grad
from seqloss.verify.laws.law import exceeds_tolerance
from seqloss.verify.problem import Problem, make_problem
from seqloss.verify.report import NumericalError
from seqloss.verify.runner import CallFailed, Runner


def random_utterances(count: int = 32, seed: int = 1) -> Problem:
    """Random utterances of 20 to 50 frames, 20 classes and 2 to 10 labels."""
    rng = np.random.default_rng(seed)
    targets = [rng.integers(1, 20, rng.integers(2, 11)).tolist() for _ in range(count)]
    return make_problem(3 * rng.normal(size=(count, 50, 20)), targets, rng.integers(20, 51, count).tolist())


def measure_numerical_error(runner: Runner, given: Problem) -> NumericalError | None:
    """The error of losses and gradients over a batch.

    Args:
        runner: calls the implementation.
        given: the batch.

    Returns:
        the error, or None if the call failed.
    """
    given = runner.adapt(given)
    try:
        outputs = runner.outputs(given)
    except CallFailed:
        return None
    exact, _ = exact_loss_and_grad(runner, given)
    loss, gradient = reference_loss_and_grad(runner, given)
    feasible = np.isfinite(exact)
    error = np.abs(outputs.loss[feasible] - loss[feasible])
    relative = error / np.maximum(np.abs(loss[feasible]), 1e-300)
    inaccurate = exceeds_tolerance(outputs.loss, loss, runner.loss_tolerance(given))
    inaccurate &= ~beyond_masks(given, outputs.loss)
    worst = None
    if outputs.gradient is not None:
        wrong = exceeds_tolerance(outputs.gradient, gradient, runner.gradient_tolerance(given)).any(axis=(1, 2))
        inaccurate |= np.where(feasible, wrong, ~np.isfinite(outputs.gradient).all(axis=(1, 2)))
        worst = float(np.abs(outputs.gradient - gradient)[feasible].max(initial=0.0))
    if not len(error):
        error = relative = np.full(1, np.nan)
    return NumericalError(
        runner.dtype,
        int(feasible.sum()),
        *(float(error.mean()), float(error.std()), float(error.max())),
        *(float(relative.mean()), float(relative.std()), float(relative.max())),
        gradient_worst=worst,
        infeasible=int((exact == np.inf).sum()),
        inaccurate=int(inaccurate.sum()),
    )
