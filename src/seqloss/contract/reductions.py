"""The one definition of how the losses of a batch become one number: the sum of loss over divisor.

Each frontend multiplies the factors of `DIVISORS` in its own arithmetic, the Triton kernel on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np

from seqloss import errors
from seqloss.contract.constants import SMALLEST
from seqloss.contract.options import check_option

Reduction = Literal["none", "sum", "mean", "batch", "labels"]


class Divisor(NamedTuple):
    """The factors of what a row's loss is divided by.

    Attributes:
        own_labels: the row's target length, at least 1.
        rows: the batch size, at least 1.
        all_labels: the sum of all target lengths, at least 1.
    """

    own_labels: bool = False
    rows: bool = False
    all_labels: bool = False

    @property
    def counts_labels(self) -> bool:
        """Whether it depends on target lengths."""
        return self.own_labels or self.all_labels


DIVISORS: dict[Reduction, Divisor] = {
    "none": Divisor(),
    "sum": Divisor(),  # and the denominator, if there is one
    "mean": Divisor(own_labels=True, rows=True),
    "batch": Divisor(rows=True),
    "labels": Divisor(all_labels=True),
}


STEP_REDUCTIONS: dict[Reduction, Reduction] = {"mean": "labels"}
"""What a reduction is for losses of single steps, where a real step is an item of its own and has one label.

Then the mean over items of loss per label is the sum divided by the number of all labels, which are the real steps.
"""


def check_reduction(reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for an unknown reduction, or for a denominator that does not fit it."""
    check_option("reduction", reduction, Reduction)
    if denominator is not None and reduction != "sum":
        raise errors.OptionError(
            f'denominator: goes with reduction="sum" only, found reduction={reduction!r}; '
            "it divides the sum over a batch by a number of yours."
        )
    if denominator is not None and not _positive(denominator):
        advice = "" if isinstance(denominator, Real) else "; to divide by an array or a tensor, divide the loss by it"
        raise errors.OptionError(f"denominator: expected a positive number, found {denominator!r}{advice}.")


def reduction_divisor(
    reduction: Reduction,
    target_lengths: Any,
    rows: Any,
    denominator: float | None = None,
    *,
    maximum: Callable[[Any, Any], Any] = np.maximum,
    total: Callable[[Any], Any] = np.sum,
) -> Any:
    """What each row's loss is divided by in the reduced loss: (batch,), or one number for all rows.

    Lengths that break the contract (possible with `validate=False` alone) count as 0.

    Args:
        target_lengths: (batch,), an array of any framework.
        rows: the batch size; a number, or a scalar of that framework.
        maximum, total: the framework's operations: of two arrays, and the sum of one.
    """
    factors = DIVISORS[reduction]
    divisor: Any = denominator or 1
    if factors.own_labels:
        divisor = divisor * maximum(target_lengths, 1)
    if factors.rows:
        divisor = divisor * maximum(rows, 1)
    if factors.all_labels:
        divisor = divisor * maximum(total(maximum(target_lengths, 0)), 1)
    return divisor


def step_divisor(
    reduction: Reduction, step_counts: Any, rows: Any, denominator: float | None = None, **operations: Any
) -> Any:
    """What the sum of all losses of real steps is divided by: a scalar.

    Args:
        step_counts: (batch,), the real steps of each row, an array of any framework.
        rows, denominator, operations: as in `reduction_divisor`.
    """
    return reduction_divisor(STEP_REDUCTIONS.get(reduction, reduction), step_counts, rows, denominator, **operations)


def reduction_weights(reduction: Reduction, target_lengths: np.ndarray, denominator: float | None = None) -> np.ndarray:
    """The weight of each row in the reduced loss, which is the sum of weight times loss; float64 (batch,)."""
    rows = target_lengths.shape[0]
    return np.ones(rows) / reduction_divisor(reduction, target_lengths.astype(np.float64), rows, denominator)


def _positive(value: Any) -> bool:
    """Whether a number can divide a float32 sum; True and "3" are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and SMALLEST <= float(value) < np.inf
