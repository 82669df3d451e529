"""Only some entries differ: which?"""

from __future__ import annotations

import numpy as np

from seqloss.doctor.comparison.causes.ranges import format_ranges
from seqloss.doctor.comparison.pair import Pair


def not_finite(pair: Pair) -> str:
    for what, test, cause in (
        ("NaN", np.isnan, "log of 0 or less, 0 / 0, inf - inf"),
        ("inf", np.isinf, "an overflow, a mask, an infeasible row"),
    ):
        for a, _, b, side in pair.both_orders():
            alone = test(b) & ~test(a)
            if alone.any():
                rows = f", in rows {format_ranges(alone.nonzero()[0])}" if b.ndim else ""
                return f"only {side} has {what}, in {alone.sum()} of {b.size} entries{rows}: {cause}?"
    return ""


def past_the_lengths(pair: Pair) -> str:
    if pair.exceeding.ndim < 2:
        return ""
    for exceeding in (pair.exceeding, pair.exceeding.swapaxes(0, 1)):
        rows, frames, *_ = exceeding.shape
        differs = exceeding.reshape(rows, frames, -1).any(2)
        for k, lengths in pair.length_arguments():
            inside = np.arange(frames) < lengths[:, None]  # (batch, time)
            if len(lengths) == rows and inside.any() and not (differs & inside).any():
                return f"equal inside the lengths in argument {k}: is padding masked in the same way?"
    return ""


def some_entries(pair: Pair) -> str:
    """Equal except in some rows, frames or columns."""
    descriptions = []
    for axis, indices in enumerate(np.argwhere(pair.exceeding).T):
        which, size = np.unique(indices), pair.exceeding.shape[axis]
        if len(which) < size:
            behind = axis > 0 and len(which) > 1 and which[0] == size - len(which)
            span = f"from {which[0]} on" if behind else f"at {format_ranges(which)}"
            descriptions.append(
                f"{span} (of {size}) along axis {axis}" if axis else f"in rows {format_ranges(which)} (of {size})"
            )
    return (
        f"equal except {', '.join(descriptions)}: are padding, masks and lengths handled in the same way?"
        if descriptions
        else ""
    )
