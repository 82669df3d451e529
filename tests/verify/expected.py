"""What peers break today, and why. A peer that mends itself, or breaks more, fails the test."""

from __future__ import annotations

VERSIONS = {"torch": "2.13", "jax": "0.10", "optax": "0.2.8", "tensorflow-cpu": "2.21", "keras": "3.15"}
"""Where these facts were seen."""

REASONS = {
    "closed-scores": "-inf minus -inf: the gradient is NaN where a class is closed",
    "impossible": "a large finite loss for a target that no path fits, or a NaN gradient",
    "masked": "log probabilities are floored, or a mask is not finite any more in float32",
    "extreme-scores": "log probabilities are floored",
    "non-negative": "-1e-16 for a model that is sure: nothing keeps rounding from passing a probability of 1",
    "nan-in-padding": "padding is multiplied by 0, and 0 times NaN is NaN",
    "nan-in-a-row": "a NaN is answered by a number, or meets other rows",
    "empty": "empty targets, empty batches, one class or no frames raise or give other numbers",
    "refuses-labels": "a label that is no class, or the blank, gives a number; torch writes past its memory",
    "refuses-lengths": "lengths past their axis are cut silently",
    "finite-differences": "torch's gradient by log-probabilities is exp(log_probs) - posterior, not -posterior",
    "softmax-minus-posterior": "the same",
    "definition": "the same",
    "sizes": "the same",
}
"""By law; what breaks it in the peers below."""

BATCH_COST = "keras.backend.ctc_batch_cost"
"""It adds keras.config.epsilon() to every probability, and so breaks most of what can be broken."""

EXPECTED: dict[str, set[str]] = {
    "torch": {
        "closed-scores",
        "impossible",
        "non-negative",
        "empty",
        "refuses-labels",
    },
    "torch (log-probs)": {
        "finite-differences",
        "softmax-minus-posterior",
        "definition",
        "closed-scores",
        "impossible",
        "masked",
        "extreme-scores",
        "nan-in-padding",
        "nan-in-a-row",
        "empty",
        "sizes",
        "refuses-labels",
    },
    "optax": {
        "closed-scores",
        "impossible",
        "non-negative",
        "nan-in-padding",
        "refuses-labels",
    },
    "tf.nn": {
        "closed-scores",
        "impossible",
        "masked",
        "extreme-scores",
        "non-negative",
        "nan-in-padding",
        "empty",
        "refuses-labels",
        "refuses-lengths",
    },
    "keras.ops (torch)": {
        "closed-scores",
        "impossible",
        "non-negative",
        "nan-in-padding",
        "empty",
        "refuses-labels",
    },
    "keras.ops (jax)": {
        "closed-scores",
        "impossible",
        "non-negative",
        "nan-in-padding",
        "refuses-labels",
        "refuses-lengths",
    },
    "keras.ops (tensorflow)": {
        "closed-scores",
        "impossible",
        "masked",
        "extreme-scores",
        "non-negative",
        "nan-in-padding",
        "empty",
        "refuses-labels",
        "refuses-lengths",
    },
    "keras.losses.CTC (torch)": {
        "closed-scores",
        "impossible",
        "non-negative",
        "empty",
        "refuses-labels",
    },
    "keras.losses.CTC (jax)": {
        "closed-scores",
        "impossible",
        "non-negative",
        "empty",
        "refuses-labels",
    },
    "keras.losses.CTC (tensorflow)": {
        "closed-scores",
        "impossible",
        "masked",
        "extreme-scores",
        "non-negative",
        "empty",
        "refuses-labels",
    },
    "keras.backend.ctc_batch_cost": {
        "digits",
        "time-reversal",
        "certain-path",
        "sums-to-1",
        "cut",
        "finite-differences",
        "softmax-minus-posterior",
        "definition",
        "closed-scores",
        "impossible",
        "masked",
        "extreme-scores",
        "nan-in-padding",
        "nan-in-a-row",
        "empty",
        "sizes",
        "refuses-labels",
        "refuses-lengths",
    },
}
