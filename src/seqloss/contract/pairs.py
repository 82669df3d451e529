"""What the losses of pairs and triplets ask of their arguments."""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Literal

from seqloss import errors
from seqloss.contract.options import check_option
from seqloss.contract.points import PointReduction
from seqloss.contract.reductions import check_reduction

ClassReduction = Literal["sum", "mean"]
Hinge = Literal["hard", "softplus"]
Negatives = Literal["random", "semi-hard", "hardest"]


def check_pair_reduction(reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for an unknown reduction, or for a denominator that does not fit it."""
    check_option("reduction", reduction, PointReduction)
    check_reduction(reduction, denominator)


def check_seed(seed: object) -> None:
    """Raise `OptionError` for a seed that is no whole number from 0 up."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise errors.OptionError(f"seed: found {seed!r}, expected a whole number, 0 or more.")


def check_margin(margin: object) -> None:
    """Raise `OptionError` for a margin that is no finite number from 0 up."""
    if not isinstance(margin, Real) or isinstance(margin, bool) or not isfinite(margin) or margin < 0:
        raise errors.OptionError(f"margin: expected a finite number, 0 or more, found {margin!r}.")
