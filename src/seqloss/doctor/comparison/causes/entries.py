"""Some entries part, and the others do not: which are they?"""

from __future__ import annotations

import numpy as np

from seqloss.doctor.comparison.causes.spans import spans
from seqloss.doctor.comparison.pair import Pair


def not_finite(pair: Pair) -> str:
    for what, test, cause in (
        ("NaN", np.isnan, "the logarithm of 0 or less, 0 / 0, inf - inf"),
        ("inf", np.isinf, "an overflow, a mask, a row that no path fits"),
    ):
        for a, _, b, side in pair.ways():
            alone = test(b) & ~test(a)
            if alone.any():
                rows = f", in rows {spans(alone.nonzero()[0])}" if b.ndim else ""
                return f"only {side} has {what}, in {alone.sum()} of {b.size} entries{rows}: {cause}?"
    return ""


def past_the_lengths(pair: Pair) -> str:
    if pair.parting.ndim < 2:
        return ""
    for parting in (pair.parting, pair.parting.swapaxes(0, 1)):
        rows, frames, *_ = parting.shape
        apart = parting.reshape(rows, frames, -1).any(2)
        for k, lengths in pair.lengths():
            inside = np.arange(frames) < lengths[:, None]  # (batch, time)
            if len(lengths) == rows and inside.any() and not (apart & inside).any():
                return f"equal inside the lengths in argument {k}: is padding masked alike?"
    return ""


def some_entries(pair: Pair) -> str:
    """Equal but for some rows, frames or columns."""
    words = []
    for axis, apart in enumerate(np.argwhere(pair.parting).T):
        which, size = np.unique(apart), pair.parting.shape[axis]
        if len(which) < size:
            behind = axis > 0 and len(which) > 1 and which[0] == size - len(which)
            span = f"from {which[0]} on" if behind else f"at {spans(which)}"
            words.append(f"{span} (of {size}) along axis {axis}" if axis else f"in rows {spans(which)} (of {size})")
    return f"equal except {', '.join(words)}: are padding, masks and lengths treated alike?" if words else ""
