"""How far an implementation is from the definition, over a set of utterances."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.agreement import truth
from seqloss.verify.laws.edges import beyond_masks
from seqloss.verify.laws.law import parts
from seqloss.verify.problem import Problem, problem
from seqloss.verify.report import Agreement
from seqloss.verify.runner import Runner, Unanswered


def utterances(count: int = 32, seed: int = 1) -> Problem:
    """Random utterances of 20 to 50 frames, 20 classes and 2 to 10 labels."""
    rng = np.random.default_rng(seed)
    targets = [rng.integers(1, 20, rng.integers(2, 11)).tolist() for _ in range(count)]
    return problem(3 * rng.normal(size=(count, 50, 20)), targets, rng.integers(20, 51, count).tolist())


def agreement(runner: Runner, given: Problem) -> Agreement | None:
    """Mean absolute error of the losses, its standard deviation and the worst; None without an answer."""
    given = runner.fit(given)
    try:
        answer = runner.look(given)
    except Unanswered:
        return None
    loss, gradient = truth(runner, given)
    fits = np.isfinite(loss)
    error = np.abs(answer.loss - loss)[fits]
    relative = error / np.maximum(np.abs(loss[fits]), 1e-300)
    apart = parts(answer.loss, loss, runner.loss_tolerance(given)) & ~beyond_masks(given, answer.loss)
    worst = None
    if answer.gradient is not None:
        off = parts(answer.gradient, gradient, runner.gradient_tolerance(given)).any(axis=(1, 2))
        apart |= np.where(fits, off, ~np.isfinite(answer.gradient).all(axis=(1, 2)))
        worst = float(np.abs(answer.gradient - gradient)[fits].max(initial=0.0))
    if not len(error):
        error = relative = np.full(1, np.nan)
    return Agreement(
        runner.dtype,
        int(fits.sum()),
        *(float(error.mean()), float(error.std()), float(error.max())),
        *(float(relative.mean()), float(relative.std()), float(relative.max())),
        gradient_worst=worst,
        impossible=int((loss == np.inf).sum()),
        apart=int(apart.sum()),
    )
