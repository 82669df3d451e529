"""Before it is about CTC: an answer comes, is the same each time, and nothing that was lent is changed."""

from __future__ import annotations

import time

import numpy as np

from seqloss.verify.laws.law import Law, Violation
from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner

TIMES, SECONDS, LEAST = 100, 1.0, 25
"""A race that shows one time in ten is missed by 100 calls once in 40,000; slow implementations are asked for a second.
"""


def answers(runner: Runner, problem: Problem) -> Violation | None:
    runner.ask(problem)
    return None  # what does not answer raises


def repeatable(runner: Runner, problem: Problem) -> Violation | None:
    first, until = runner.ask(problem), time.monotonic() + SECONDS
    for n in range(TIMES):
        if n > LEAST and time.monotonic() > until:
            break
        again = runner.ask(problem)
        for name, a, b in (("loss", first.loss, again.loss), ("gradient", first.gradient, again.gradient)):
            if a is not None and b is not None and a.tobytes() != b.tobytes():
                place = tuple(np.argwhere(a != b)[0].tolist()) if (a != b).any() else ()
                return Violation(
                    problem,
                    f"the same {name} each time",
                    f"call {n + 2} of the same arrays gives {b[place]!r} at {place}, the first gave {a[place]!r}",
                    "the same arguments have one answer; with a race, or sums in a changing order, no training repeats",
                )
    return None


def several_rows(problem: Problem) -> Problem | None:
    """Races are between rows."""
    return problem if len(problem.logits) > 1 else None


def untouched(runner: Runner, problem: Problem) -> Violation | None:
    wrote = runner.raw(problem).wrote
    if not wrote:
        return None
    return Violation(
        problem,
        "arguments that are as they were",
        f"the call changed {', '.join(wrote)}",
        "the caller may need its arrays again, and a framework its logits for the backward pass",
    )


ANSWERS = Law(
    "answers", "A valid call is answered: right shapes, floating point, no NaN, no exception, no crash.", answers
)
REPEATABLE = Law("repeatable", "The same call gives the same bits.", repeatable, several_rows, search=False)
UNTOUCHED = Law("untouched", "The arguments are left as they were.", untouched)
