"""Why two arrays part: each cause is a function that says in words how it would make them equal, or nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqloss.doctor.comparison.causes.axes import axes_in_another_order, axes_of_one, cut, reshaped
from seqloss.doctor.comparison.causes.entries import not_finite, past_the_lengths, some_entries
from seqloss.doctor.comparison.causes.functions import function_of_the_other, offset, sign, zero
from seqloss.doctor.comparison.causes.multiples import factor
from seqloss.doctor.comparison.causes.order import permuted, reversed_axis, rolled
from seqloss.doctor.comparison.causes.precision import (
    grown_rounding,
    half_type,
    nearly,
    within_the_type,
    zero_but_for_rounding,
)
from seqloss.doctor.comparison.pair import Pair

CAUSES_OF_SHAPES: tuple[Callable[[Pair], str], ...] = (axes_in_another_order, axes_of_one, reshaped, cut)

CAUSES: tuple[Callable[[Pair], str], ...] = (
    within_the_type,
    not_finite,
    zero,
    axes_in_another_order,
    sign,
    factor,
    reversed_axis,
    rolled,
    permuted,
    function_of_the_other,
    offset,
    half_type,
    zero_but_for_rounding,
    grown_rounding,
    past_the_lengths,
    some_entries,
    nearly,
)
"""What is tried on arrays of one shape, in this order: what explains every entry comes first."""


def likely_cause(pair: Pair) -> str:
    """The first of `CAUSES` that fits two arrays that part, in words; empty if none does."""
    causes = CAUSES if pair.alike else CAUSES_OF_SHAPES
    with np.errstate(all="ignore"):
        return next(filter(None, (cause(pair) for cause in causes)), "")
