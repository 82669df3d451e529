"""A law, and what it says of an implementation that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner


@dataclass(frozen=True, eq=False)
class Violation:
    """One place where a law is broken.

    Attributes:
        problem: the call that shows it, and
        beside: a second call that it is held against, if there is one.
        died: whether the call cost the process its life.
        timed_out: whether a time limit ended it, so that nothing is known of its answer.
        shows: an expression of `loss` and `gradient` whose value is what was found.
        expected, found: in words and figures.
        why: why that was to be expected.
    """

    problem: Problem
    expected: str
    found: str
    why: str
    beside: Problem | None = None
    died: bool = False
    timed_out: bool = False
    shows: str = "loss"


Check = Callable[[Runner, Problem], Violation | None]


@dataclass(frozen=True)
class Law:
    """What holds for every CTC.

    Attributes:
        name: a few words with dashes.
        says: the law, in a sentence.
        check: looks at one problem.
        prepare: makes an ordinary problem one of this law's; None where the law says nothing of it.
        needs: what the implementation must promise: "gradient", "lengths", "upstream", "logits", "log_probs".
        search: whether it is worth looking for problems that break it.
        sizes: whether it is about the very sizes of its problems.
    """

    name: str
    says: str
    check: Check
    prepare: Callable[[Problem], Problem | None] = lambda problem: problem
    needs: frozenset[str] = frozenset()
    search: bool = True
    sizes: bool = False


def number(x: float) -> str:
    """A figure as a person would write it."""
    return f"{x:.6g}"


def unlike(expected: float, found: float) -> tuple[str, str]:
    """Two figures with as many digits as tell them apart."""
    for digits in (6, 8, 10, 17):
        words = f"{expected:.{digits}g}", f"{found:.{digits}g}"
        if words[0] != words[1]:
            break
    return words


def parts(found: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """bool: entries that are further apart than allowed; equal infinities are not apart, NaN always is."""
    with np.errstate(invalid="ignore"):
        return ~((found == expected) | (np.abs(found - expected) <= allowed))


def loss_breach(
    problem: Problem,
    found: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    why: str,
    beside: Problem | None = None,
) -> Violation | None:
    """A violation where losses (batch,) are apart."""
    apart = np.flatnonzero(parts(found, expected, allowed))
    if not len(apart):
        return None
    n = int(apart[0])
    row = f"row {n}: " if len(found) > 1 else ""
    wanted, got = unlike(float(expected[n]), float(found[n]))
    return Violation(problem, f"{row}loss {wanted}", f"{row}loss {got}", why, beside)


def gradient_breach(
    problem: Problem,
    found: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    why: str,
    beside: Problem | None = None,
) -> Violation | None:
    """A violation where gradients (batch, time, classes) are apart; the worst entry is told."""
    apart = parts(found, expected, allowed)
    if not apart.any():
        return None
    with np.errstate(invalid="ignore"):
        distance = np.where(apart, np.abs(found - expected), 0.0)
    n, t, k = np.unravel_index(int(np.argmax(np.where(np.isnan(distance), np.inf, distance))), found.shape)
    where = f"gradient of row {n}, frame {t}, class {k}: "
    wanted, got = unlike(float(expected[n, t, k]), float(found[n, t, k]))
    return Violation(problem, where + wanted, where + got, why, beside, shows="gradient")
