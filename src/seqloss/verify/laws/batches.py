"""Laws about batches: rows are independent of other rows, of padding and of the memory layout."""

from __future__ import annotations

import numpy as np

from seqloss.verify.laws.law import Law, Violation, gradient_violation, loss_violation, most_severe
from seqloss.verify.layouts import LAYOUTS
from seqloss.verify.problem import Problem
from seqloss.verify.runner import CallFailed, Outputs, Runner, pad_problem, round_to_dtype
from seqloss.verify.severity import CARELESS

INDEPENDENT = "loss and gradient of a row do not depend on the other rows or on their order"


def check_batch_mates(runner: Runner, problem: Problem) -> Violation | None:
    """Compares the batch with the reversed batch that repeats one row, and with each row, padded, as a batch."""
    order = np.r_[np.arange(len(problem.logits))[::-1], 0]
    for mixed, rows in [
        (problem.select_rows(order), order),
        *((problem.select_rows([n]), [n]) for n in range(len(problem.logits))),
    ]:
        whole, other = runner.finite_outputs(problem), runner.finite_outputs(mixed)
        allowed = 2 * runner.loss_tolerance(mixed)
        found = loss_violation(mixed, other.loss, whole.loss[rows], allowed, INDEPENDENT, problem)
        if found is None and whole.gradient is not None and other.gradient is not None:
            close = 2 * runner.gradient_tolerance(mixed)
            found = gradient_violation(mixed, other.gradient, whole.gradient[rows], close, INDEPENDENT, problem)
        if found is not None:
            return found
    return None


def check_padding(runner: Runner, problem: Problem) -> Violation | None:
    """Compares each row without padding with the same row with random scores in the padding.

    A row without padding gets some.
    """
    both = runner.implementation.lengths == "both"
    for n in range(len(problem.logits)):
        bare = problem.unpadded_row(n)
        more = 1 if runner.implementation.few_shapes else 2
        frames, labels = bare.logits.shape[1], bare.targets.shape[1]
        filled = pad_problem(
            problem.select_rows([n]),
            more if both and frames == problem.logits.shape[1] else 0,
            more if labels == problem.targets.shape[1] else 0,
        )
        rng = np.random.default_rng(n)
        logits = filled.logits.copy()
        logits[:, frames:] = (3 * rng.normal(size=logits[:, frames:].shape)).round(2)
        filled = filled.replace(logits=round_to_dtype(logits, runner.dtype))
        if runner.implementation.few_shapes and both:
            bare = problem.select_rows([n])
        alone, beside = runner.finite_outputs(bare), runner.finite_outputs(filled)
        why = "values past the lengths of a row do not matter"
        found = loss_violation(filled, beside.loss, alone.loss, 2 * runner.loss_tolerance(filled), why, bare)
        if found is None and alone.gradient is not None and beside.gradient is not None:
            expected = np.zeros_like(beside.gradient)
            expected[:, :frames] = alone.gradient[:, :frames]
            close = 2 * runner.gradient_tolerance(filled) * (np.arange(expected.shape[1]) < frames)[None, :, None]
            found = gradient_violation(
                filled, beside.gradient, expected, close, why + "; the gradient there is 0", bare
            )
        if found is not None:
            return found
    return None


def check_memory_layout(runner: Runner, problem: Problem) -> Violation | None:
    """Compares each layout of `LAYOUTS` with the default. To refuse a layout with an exception is careless."""
    plain = runner.finite_outputs(problem)
    return most_severe(_check_layout(runner, problem, plain, name) for name in LAYOUTS)


def _check_layout(runner: Runner, problem: Problem, plain: Outputs, name: str) -> Violation | None:
    rearranged = problem.replace(layout=name)
    why = f"{LAYOUTS[name].description} have the same values"
    try:
        found = runner.outputs(rearranged)
    except CallFailed as failed:
        if not failed.raised:
            raise
        return Violation(rearranged, failed.expected, failed.found, why, severity=CARELESS)
    violation = loss_violation(rearranged, found.loss, plain.loss, 2 * runner.loss_tolerance(rearranged), why, problem)
    if violation is None and plain.gradient is not None and found.gradient is not None:
        close = 2 * runner.gradient_tolerance(rearranged)
        violation = gradient_violation(rearranged, found.gradient, plain.gradient, close, why, problem)
    return violation


def check_upstream(runner: Runner, problem: Problem) -> Violation | None:
    """With upstream gradients above 1, below 0, and 0."""
    plain = runner.finite_outputs(problem)
    assert plain.gradient is not None
    for first in range(3):
        weights = np.resize(np.roll([-0.5, 8.0, 0.0], first), len(problem.logits))
        weighted = problem.replace(upstream=weights)
        found = runner.finite_outputs(weighted)
        assert found.gradient is not None
        violation = gradient_violation(
            weighted,
            found.gradient,
            plain.gradient * weights[:, None, None],
            2 * runner.gradient_tolerance(weighted),
            "by the chain rule, the gradient of each row is multiplied by its upstream gradient",
            problem,
        )
        if violation is not None:
            return violation
    return None


BATCH_MATES = Law("batch-mates", "loss[n] and gradient[n] do not depend on the other rows.", check_batch_mates)
PADDING = Law(
    "padding",
    "Values past the lengths do not affect loss and gradient; the gradient there is 0.",
    check_padding,
    needs=frozenset({"lengths"}),
)
MEMORY_LAYOUT = Law("memory-layout", "Strides and integer types do not affect loss and gradient.", check_memory_layout)
UPSTREAM = Law(
    "upstream",
    "gradient[n] = upstream[n] * d loss[n] / d logits[n].",
    check_upstream,
    needs=frozenset({"gradient", "upstream"}),
)
