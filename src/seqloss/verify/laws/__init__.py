"""The laws: properties that every CTC implementation has. Each file has the laws about one subject.

The order of `LAWS` is that of the report: a violated law explains those after it. The order is: calls and precision;
batches, padding and layouts; symmetries; sums over paths and gradients; edge cases. Invalid arguments are last, because
some implementations write outside their arrays then.
"""

from __future__ import annotations

from seqloss.verify.laws.batches import BATCH_MATES, MEMORY_LAYOUT, PADDING, UPSTREAM
from seqloss.verify.laws.behaviour import ANSWERS, REPEATABLE, UNTOUCHED
from seqloss.verify.laws.definition import DEFINITION, DIGITS, LONG, SIZES
from seqloss.verify.laws.edges import (
    CLOSED_SCORES,
    EMPTY,
    EXTREME_SCORES,
    MASKED,
    NAN_IN_A_ROW,
    NAN_IN_PADDING,
)
from seqloss.verify.laws.gradients import FINITE_DIFFERENCES, ROWS_SUM_TO_0, SOFTMAX_MINUS_POSTERIOR
from seqloss.verify.laws.infeasible import IMPOSSIBLE
from seqloss.verify.laws.law import Law, Violation
from seqloss.verify.laws.lengths import LENGTHS
from seqloss.verify.laws.probabilities import CERTAIN_PATH, CUT, NON_NEGATIVE, RISING_SCORE, SUMS_TO_1, UNUSED_CLASS
from seqloss.verify.laws.refusals import REFUSES_LABELS, REFUSES_LENGTHS
from seqloss.verify.laws.symmetries import FRAME_SHIFT, RELABELLING, TIME_REVERSAL

__all__ = ["LAWS", "UNSAFE", "Law", "Violation"]

LAWS: tuple[Law, ...] = (
    ANSWERS,
    REPEATABLE,
    UNTOUCHED,
    DIGITS,
    BATCH_MATES,
    PADDING,
    MEMORY_LAYOUT,
    UPSTREAM,
    FRAME_SHIFT,
    ROWS_SUM_TO_0,
    RELABELLING,
    TIME_REVERSAL,
    CERTAIN_PATH,
    SUMS_TO_1,
    CUT,
    UNUSED_CLASS,
    RISING_SCORE,
    FINITE_DIFFERENCES,
    SOFTMAX_MINUS_POSTERIOR,
    DEFINITION,
    CLOSED_SCORES,
    IMPOSSIBLE,
    MASKED,
    EXTREME_SCORES,
    NON_NEGATIVE,
    NAN_IN_PADDING,
    NAN_IN_A_ROW,
    EMPTY,
    SIZES,
    LENGTHS,
    LONG,
    REFUSES_LABELS,
    REFUSES_LENGTHS,
)

UNSAFE = {"refuses-labels", "refuses-lengths"}
"""Laws with invalid arguments, for which some implementations write outside their arrays: the process is restarted."""
