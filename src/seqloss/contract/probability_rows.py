"""Rows that should be probabilities, and are not: which, and the likely cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from seqloss import errors
from seqloss.contract.probabilities import SUM_SLACK

ProbabilityProblem = Literal["non-finite", "scores", "log-probabilities", "axis", "normalization"]

ROUNDING = 1e-6
"""How far above 1 a probability may be by rounding."""

DEFINITION = f"expected probabilities (from 0 to 1, adding up to 1 within {SUM_SLACK:g})"


class BadProbabilities(NamedTuple):
    """One row that is no probability distribution.

    Attributes:
        row: its number, counted over all axes but that of the classes, the last one fastest.
        kind: what it looks like.
        cause: in words, with its position.
    """

    row: int
    kind: ProbabilityProblem
    cause: str


def bad_probability_rows(name: str, values: np.ndarray, axis: int, rounding: float = 0.0) -> Iterator[BadProbabilities]:
    """The rows along an axis that are no probabilities, in order.

    Args:
        name: of the argument.
        values: float32 or float64.
        axis: of the classes, from 0.
        rounding: of the original type, see `check_normalized`.
    """
    moved = np.moveaxis(values, axis, -1)
    positions, rows = moved.shape[:-1], moved.reshape(-1, moved.shape[-1])
    slack = SUM_SLACK + rounding
    with np.errstate(invalid="ignore"):  # inf - inf, in a row that is reported
        sums = rows.sum(axis=1, dtype=np.float64)
    inside = np.asarray(((rows >= 0) & (rows <= 1 + ROUNDING + rounding)).all(axis=1))
    other = None
    for number in np.flatnonzero(~(inside & (np.abs(sums - 1) <= slack))):
        if inside[number] and other is None:
            other = _other_axis(values, axis, slack)
        kind, words = _cause(rows[number], inside[number], float(sums[number]), axis, other, slack)
        at = [*map(int, np.unravel_index(number, positions))] if positions else []
        at.insert(axis, ":")  # type: ignore[arg-type]
        place = ", ".join(map(str, at))
        yield BadProbabilities(int(number), kind, f"{name}[{place}]: {DEFINITION}, found {words}.")


def refuse_bad_probabilities(name: str, values: np.ndarray, axis: int, rounding: float, advice: str = "") -> None:
    """Raise `NormalizationError` for the first row that is no probability distribution and holds no NaN.

    Args:
        advice: what else one may do about scores and log-probabilities, such as to set an option.
    """
    for bad in bad_probability_rows(name, values, axis, rounding):
        if bad.kind != "non-finite":
            hint = advice if bad.kind in ("scores", "log-probabilities") else ""
            raise errors.NormalizationError(bad.cause + hint)


def _other_axis(values: np.ndarray, axis: int, slack: float) -> int:
    """Another axis along which all entries add up to 1; -1 if there is none."""
    for other in range(values.ndim):
        sums = values.sum(axis=other, dtype=np.float64)
        if other != axis and values.shape[other] > 1 and (np.abs(sums - 1) <= slack).all():
            return other
    return -1


def _cause(
    row: np.ndarray, inside: bool, total: float, axis: int, other: int | None, slack: float
) -> tuple[ProbabilityProblem, str]:
    if np.isnan(row).any() or (row == np.inf).any():
        return "non-finite", (
            f"{row[np.isnan(row) | (row == np.inf)][0]:g}; look for a diverging network or a division by 0"
        )
    if inside and other is not None and other >= 0:
        return "axis", (
            f"a sum of {total:.6g}, while the sums along axis {other} are 1; the softmax seems to be over that axis: "
            f"take it over axis {axis}"
        )
    if inside and not row.any():
        return "normalization", "zeros only; leave out padding and masked rows"
    if inside:
        return "normalization", (
            f"a sum of {total:.6g}; divide by the sum, or take softmax (a sigmoid of each class does not add up to 1)"
        )
    below = row <= ROUNDING
    if below.all() and abs(np.exp(row.astype(np.float64)).sum() - 1) <= slack:
        return "log-probabilities", "log-probabilities (their exponentials add up to 1); take exp of them"
    wrong = row[(row < 0) | (row > 1)]
    return "scores", f"{wrong[0]:.6g}; raw scores are the likely cause: apply softmax over axis {axis}"
