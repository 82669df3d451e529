"""Likely causes of a difference: functions that return a description if they explain it, else ""."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqloss.doctor.comparison.causes.axes import axes_in_another_order, axes_of_one, reshaped, truncated
from seqloss.doctor.comparison.causes.entries import not_finite, past_the_lengths, some_entries
from seqloss.doctor.comparison.causes.functions import all_zero, function_of_the_other, offset, opposite_sign
from seqloss.doctor.comparison.causes.multiples import scaled
from seqloss.doctor.comparison.causes.order import permuted, reversed_axis, rolled
from seqloss.doctor.comparison.causes.precision import (
    grown_rounding,
    half_type,
    nearly_equal,
    within_the_type,
    zero_but_for_rounding,
)
from seqloss.doctor.comparison.pair import Pair

CAUSES_OF_SHAPES: tuple[Callable[[Pair], str], ...] = (axes_in_another_order, axes_of_one, reshaped, truncated)

CAUSES: tuple[Callable[[Pair], str], ...] = (
    within_the_type,
    not_finite,
    all_zero,
    axes_in_another_order,
    opposite_sign,
    scaled,
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
    nearly_equal,
)
"""Causes for arrays of the same shape. Those that explain every entry are first."""


def likely_cause(pair: Pair) -> str:
    """The description of the first cause that explains the difference; "" if there is none."""
    causes = CAUSES if pair.same_shape else CAUSES_OF_SHAPES
    with np.errstate(all="ignore"):
        return next(filter(None, (cause(pair) for cause in causes)), "")
