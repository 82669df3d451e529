"""What usually causes the violation of each law. Used where no known bug gives the results of an implementation."""

from __future__ import annotations

TYPICAL_CAUSES = {
    "answers": "",
    "repeatable": "a data race, sums in varying order, or uninitialised memory",
    "untouched": "it computes in place, in the arrays of the caller",
    "digits": "it sums in a narrower type than that of the logits, or clips a logarithm",
    "batch-mates": "rows share something: a length, a target, a buffer or a divisor",
    "padding": "padding is used: a length is ignored or off by one",
    "memory-layout": "it ignores strides, or reads integers with the wrong width",
    "upstream": "it does not multiply the gradient of each row by the upstream gradient",
    "frame-shift": "softmax is missing, or is not over all classes",
    "rows-sum-to-0": "the gradient is with respect to log-probabilities, or softmax is not over all classes",
    "relabelling": "the index of the blank or of another class is hard-coded or off by one",
    "time-reversal": "frames or states at one end are missing",
    "certain-path": "softmax is applied twice, or transitions between states are wrong",
    "sums-to-1": "paths are counted twice or missing: check the transitions (blanks between repeated labels)",
    "cut": "small probabilities are clipped or rounded",
    "unused-class": "a class is missing from softmax: the vocabulary is too small",
    "rising-score": "a sign is wrong, or softmax is applied to log-probabilities",
    "finite-differences": "the gradient is not that of the loss: wrong sign or factor",
    "softmax-minus-posterior": "the gradient is not that of the loss",
    "definition": "paths are missing, or have wrong weights",
    "closed-scores": "it computes -inf - (-inf), which is NaN",
    "impossible": "a large number is used in place of -inf, or the gradient computes 0 * inf",
    "masked": "exp of a difference overflows, or logarithms are clipped",
    "extreme-scores": "exp of a score overflows: subtract the maximum of the frame first",
    "non-negative": "rounding makes a probability larger than 1: return max(loss, 0)",
    "nan-in-padding": "padding is multiplied by 0 instead of being masked: 0 * NaN is NaN",
    "nan-in-a-row": "NaN in one row is summed into the other rows",
    "refuses-labels": "labels are used as indices without being checked",
    "refuses-lengths": "lengths are used without being checked",
    "empty": "it reads the first label of an empty target, or the first frame of a row without frames",
    "lengths": "lengths are computed from fractions of the axis and truncated or rounded up: round them",
    "sizes": "a buffer has a fixed size, a counter is too narrow, or the remainder after full vectors is dropped",
    "long": "rounding errors add up over thousands of frames: float32 logarithms near -1,000 are 6e-5 apart",
}

ZERO_INFINITY_CAUSE = "infeasible rows are not replaced one by one: only where a loss is inf, loss and gradient are 0"
"""Of `impossible`, where a loss of 0 is promised."""
