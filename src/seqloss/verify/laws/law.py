"""A law: a property that every CTC implementation has, with the check of one problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from seqloss.verify.problem import Problem
from seqloss.verify.runner import Runner
from seqloss.verify.severity import CARELESS, WRONG, Severity


@dataclass(frozen=True, eq=False)
class Violation:
    """A call whose result violates a law.

    Attributes:
        problem: the arguments of the call.
        expected: the expected value, as text.
        found: the value found, as text.
        reason: why `expected` follows from the law.
        compared_with: the arguments of a second call, whose result is compared with that of the first.
        crashed: whether the process ended without a result.
        timed_out: whether the call exceeded the time limit; its result is unknown then.
        expression: a Python expression of `loss` and `gradient` that gives the value found.
        severity: "wrong" or "careless", if it is not that of the law.
    """

    problem: Problem
    expected: str
    found: str
    reason: str
    compared_with: Problem | None = None
    crashed: bool = False
    timed_out: bool = False
    expression: str = "loss"
    severity: Severity | None = None


Check = Callable[[Runner, Problem], Violation | None]


@dataclass(frozen=True)
class Law:
    """A property of every CTC implementation.

    Attributes:
        name: a few words with dashes.
        statement: the law as one sentence, with its formula.
        check: returns the violation for one problem, or None.
        prepare: turns a standard problem into one for this law; returns None if the law does not apply.
        needs: features that the implementation must support: "gradient", "lengths", "upstream", "logits", "log_probs".
        search: whether to search for violations with random problems.
        exact_shapes: whether problems must not be padded to other shapes.
        severity: of a violation whose check does not set its own, see `severity`.
    """

    name: str
    statement: str
    check: Check
    prepare: Callable[[Problem], Problem | None] = lambda problem: problem
    needs: frozenset[str] = frozenset()
    search: bool = True
    exact_shapes: bool = False
    severity: Severity = WRONG


def severity_of(law: Law, violation: Violation) -> Severity:
    """The severity of a violation: a process that dies or hangs is wrong, whatever the law."""
    return WRONG if violation.crashed else violation.severity or law.severity


def with_severity(severity: Severity, violation: Violation | None) -> Violation | None:
    """The same violation, if there is one, with a severity of its own."""
    return None if violation is None else replace(violation, severity=severity)


def most_severe(violations: Iterable[Violation | None]) -> Violation | None:
    """The first violation that is not marked careless; else the first one; else None."""
    careless = None
    for violation in violations:
        if violation is not None and violation.severity != CARELESS:
            return violation
        careless = careless or violation
    return careless


def format_number(x: float) -> str:
    """A number with 6 digits."""
    return f"{x:.6g}"


def format_distinct(expected: float, found: float) -> tuple[str, str]:
    """Two numbers with enough digits to differ."""
    for digits in (6, 8, 10, 17):
        texts = f"{expected:.{digits}g}", f"{found:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def exceeds_tolerance(found: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Which entries differ by more than `allowed`. Equal infinities do not differ; NaN always does."""
    with np.errstate(invalid="ignore"):
        return ~((found == expected) | (np.abs(found - expected) <= allowed))


def loss_violation(
    problem: Problem,
    found: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    reason: str,
    compared_with: Problem | None = None,
) -> Violation | None:
    """The violation for the first row whose losses differ by more than `allowed`; None if there is none."""
    rows = np.flatnonzero(exceeds_tolerance(found, expected, allowed))
    if not len(rows):
        return None
    n = int(rows[0])
    row = f"row {n}: " if len(found) > 1 else ""
    wanted, got = format_distinct(float(expected[n]), float(found[n]))
    return Violation(problem, f"{row}loss {wanted}", f"{row}loss {got}", reason, compared_with)


def gradient_violation(
    problem: Problem,
    found: np.ndarray,
    expected: np.ndarray,
    allowed: np.ndarray,
    reason: str,
    compared_with: Problem | None = None,
) -> Violation | None:
    """The violation for the entry at which gradients differ most; None if no entry differs by more than `allowed`."""
    differs = exceeds_tolerance(found, expected, allowed)
    if not differs.any():
        return None
    with np.errstate(invalid="ignore"):
        distance = np.where(differs, np.abs(found - expected), 0.0)
    n, t, k = np.unravel_index(int(np.argmax(np.where(np.isnan(distance), np.inf, distance))), found.shape)
    where = f"gradient of row {n}, frame {t}, class {k}: "
    wanted, got = format_distinct(float(expected[n, t, k]), float(found[n, t, k]))
    return Violation(problem, where + wanted, where + got, reason, compared_with, expression="gradient")


def non_finite_violation(problem: Problem, gradient: np.ndarray, reason: str) -> Violation | None:
    """The violation for the first entry of a gradient that is NaN or infinite; None if all are finite."""
    bad = np.argwhere(~np.isfinite(gradient))
    if not len(bad):
        return None
    n, t, k = (int(i) for i in bad[0])
    where = f"gradient of row {n}, frame {t}, class {k}: "
    found = where + format_number(gradient[n, t, k])
    return Violation(problem, where + "a finite number", found, reason, expression="gradient")
