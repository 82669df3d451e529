"""A row is alone: other rows, padding, order and memory never matter, and upstream weighs its gradient."""

from __future__ import annotations

import numpy as np

from seqloss.verify.forms import FORMS
from seqloss.verify.laws.law import Law, Violation, gradient_breach, loss_breach
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner, padded, rounded

ALONE = "a row's loss and gradient are its own, whoever else is in the batch and in whatever order"


def batch_mates(runner: Runner, problem: Problem) -> Violation | None:
    """The batch, in another order, with its first row twice; and each row alone, as padded as it was."""
    order = np.r_[np.arange(len(problem.logits))[::-1], 0]
    for mixed, rows in [(problem.pick(order), order), *((problem.pick([n]), [n]) for n in range(len(problem.logits)))]:
        whole, other = runner.ask(problem), runner.ask(mixed)
        allowed = 2 * runner.loss_tolerance(mixed)
        found = loss_breach(mixed, other.loss, whole.loss[rows], allowed, ALONE, problem)
        if found is None and whole.gradient is not None and other.gradient is not None:
            close = 2 * runner.gradient_tolerance(mixed)
            found = gradient_breach(mixed, other.gradient, whole.gradient[rows], close, ALONE, problem)
        if found is not None:
            return found
    return None


def padding(runner: Runner, problem: Problem) -> Violation | None:
    """Each row cut to its lengths, beside the same row as padded as it was, with other scores past its lengths.

    A row that fills an axis gets more of it.
    """
    both = runner.implementation.lengths == "both"
    for n in range(len(problem.logits)):
        bare = problem.alone(n)
        more = 1 if runner.implementation.few_shapes else 2
        frames, labels = bare.logits.shape[1], bare.targets.shape[1]
        filled = padded(
            problem.pick([n]),
            more if both and frames == problem.logits.shape[1] else 0,
            more if labels == problem.targets.shape[1] else 0,
        )
        rng = np.random.default_rng(n)
        logits = filled.logits.copy()
        logits[:, frames:] = 3 * rng.normal(size=logits[:, frames:].shape).round(2)
        filled = filled.but(logits=rounded(logits, runner.dtype))
        if runner.implementation.few_shapes and both:
            bare = problem.pick([n])
        alone, beside = runner.ask(bare), runner.ask(filled)
        why = "what stands past a row's lengths is not part of it"
        found = loss_breach(filled, beside.loss, alone.loss, 2 * runner.loss_tolerance(filled), why, bare)
        if found is None and alone.gradient is not None and beside.gradient is not None:
            expected = np.zeros_like(beside.gradient)
            expected[:, :frames] = alone.gradient[:, :frames]
            close = 2 * runner.gradient_tolerance(filled) * (np.arange(expected.shape[1]) < frames)[None, :, None]
            found = gradient_breach(filled, beside.gradient, expected, close, why + "; its gradient there is 0", bare)
        if found is not None:
            return found
    return None


def memory_layout(runner: Runner, problem: Problem) -> Violation | None:
    """Each form by itself."""
    plain = runner.ask(problem)
    for name, form in FORMS.items():
        formed = problem.but(form=name)
        found = runner.ask(formed)
        why = f"{form.words} are the same numbers"
        violation = loss_breach(formed, found.loss, plain.loss, 2 * runner.loss_tolerance(formed), why, problem)
        if violation is None and plain.gradient is not None and found.gradient is not None:
            close = 2 * runner.gradient_tolerance(formed)
            violation = gradient_breach(formed, found.gradient, plain.gradient, close, why, problem)
        if violation is not None:
            return violation
    return None


def upstream(runner: Runner, problem: Problem) -> Violation | None:
    """Weights over 1, below 0, and 0."""
    plain = runner.ask(problem)
    assert plain.gradient is not None
    for first in range(3):
        weights = np.resize(np.roll([-0.5, 8.0, 0.0], first), len(problem.logits))
        weighed = problem.but(upstream=weights)
        found = runner.ask(weighed)
        assert found.gradient is not None
        violation = gradient_breach(
            weighed,
            found.gradient,
            plain.gradient * weights[:, None, None],
            2 * runner.gradient_tolerance(weighed),
            "by the chain rule each row's gradient is multiplied by what comes from upstream",
            problem,
        )
        if violation is not None:
            return violation
    return None


BATCH_MATES = Law("batch-mates", "Other rows, and their order, never matter.", batch_mates)
PADDING = Law("padding", "Frames and labels past a row's lengths never matter.", padding, needs=frozenset({"lengths"}))
MEMORY_LAYOUT = Law("memory-layout", "Strides, and the integers' width, never matter.", memory_layout)
UPSTREAM = Law(
    "upstream",
    "The gradient is multiplied by the one from upstream.",
    upstream,
    needs=frozenset({"gradient", "upstream"}),
)
