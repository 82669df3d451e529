"""The names of all laws, in the order of a report.

They stand apart from the laws, so that an `Implementation` can check the names that it is given: the laws import it.
"""

from __future__ import annotations

LAW_NAMES = (
    "answers", "repeatable", "untouched", "digits", "batch-mates", "padding", "memory-layout", "upstream",
    "frame-shift", "rows-sum-to-0", "relabelling", "time-reversal", "certain-path", "sums-to-1", "cut",
    "unused-class", "rising-score", "finite-differences", "softmax-minus-posterior", "definition", "closed-scores",
    "impossible", "masked", "extreme-scores", "non-negative", "nan-in-padding", "nan-in-a-row", "empty", "sizes",
    "lengths", "long", "refuses-labels", "refuses-lengths",
)  # fmt: skip
