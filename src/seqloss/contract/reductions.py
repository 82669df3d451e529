"""The one definition of how the losses of a batch become one number."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from seqloss import errors
from seqloss.contract.constants import SMALLEST

Reduction = Literal["none", "sum", "mean", "batch", "labels"]


def check_reduction(reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for an unknown reduction, or for a denominator that does not fit it."""
    if reduction not in get_args(Reduction):
        raise errors.unknown_option("reduction", reduction, get_args(Reduction))
    if denominator is not None and reduction != "sum":
        raise errors.OptionError(
            f'denominator: goes with reduction="sum" only, found reduction={reduction!r}; '
            "it divides the sum over a batch by a number of yours."
        )
    if denominator is not None and not _positive(denominator):
        raise errors.OptionError(f"denominator: expected a positive number, found {denominator!r}.")


def reduction_weights(reduction: Reduction, target_lengths: np.ndarray, denominator: float | None = None) -> np.ndarray:
    """The weight of each row in the reduced loss, which is the sum of weight times loss.

    =========  ==================================================
    reduction  weight of row n
    =========  ==================================================
    "sum"      1 / denominator (1 without one)
    "mean"     1 / (max(1, its target length) * batch)
    "batch"    1 / batch
    "labels"   1 / max(1, all target lengths)
    =========  ==================================================

    Lengths that break the contract (possible with `validate=False` alone) count as 0.
    """
    rows = target_lengths.shape[0]
    counts = np.maximum(target_lengths, 0).astype(np.float64)
    if reduction == "mean":
        return 1.0 / (np.maximum(counts, 1.0) * max(1, rows))
    divisors = {"sum": denominator or 1.0, "batch": max(1, rows), "labels": max(1.0, counts.sum())}
    return np.full(rows, 1.0 / divisors[reduction])


def _positive(value: Any) -> bool:
    """Whether a number can divide a float32 sum; True and "3" are none."""
    return isinstance(value, Real) and not isinstance(value, bool) and SMALLEST <= float(value) < np.inf
