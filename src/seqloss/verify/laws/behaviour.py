"""Laws about calls: a result is returned, is reproducible, and the arguments are not modified."""

from __future__ import annotations

import time

import numpy as np

from seqloss.verify.laws.law import Law, Violation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner

CALLS, SECONDS, MIN_CALLS = 100, 1.0, 25
"""100 calls miss a race that shows in one call of ten once in 40,000 runs. Slow implementations get one second."""


def check_answers(runner: Runner, problem: Problem) -> Violation | None:
    runner.finite_outputs(problem)
    return None  # a call that fails raises


def check_repeatable(runner: Runner, problem: Problem) -> Violation | None:
    first, until = runner.finite_outputs(problem), time.monotonic() + SECONDS
    for n in range(CALLS):
        if n > MIN_CALLS and time.monotonic() > until:
            break
        again = runner.finite_outputs(problem)
        for name, a, b in (("loss", first.loss, again.loss), ("gradient", first.gradient, again.gradient)):
            if a is not None and b is not None and a.tobytes() != b.tobytes():
                index = tuple(np.argwhere(a != b)[0].tolist()) if (a != b).any() else ()
                return Violation(
                    problem,
                    f"the same {name} in each call",
                    f"call {n + 2} with the same arguments returns {b[index]!r} at {index}, the first {a[index]!r}",
                    "the same arguments have one result; otherwise training is not reproducible",
                )
    return None


def require_several_rows(problem: Problem) -> Problem | None:
    """Data races are usually between rows."""
    return problem if len(problem.logits) > 1 else None


def check_untouched(runner: Runner, problem: Problem) -> Violation | None:
    modified = runner.call(problem).modified
    if not modified:
        return None
    return Violation(
        problem,
        "unmodified arguments",
        f"the call modified {', '.join(modified)}",
        "the caller can need its arrays again, and a framework its logits in the backward pass",
    )


ANSWERS = Law("answers", "A valid call returns floating-point results of the right shape, without NaN.", check_answers)
REPEATABLE = Law(
    "repeatable", "f(x) == f(x), bit for bit, in repeated calls.", check_repeatable, require_several_rows, search=False
)
UNTOUCHED = Law("untouched", "A call does not modify its arguments.", check_untouched)
