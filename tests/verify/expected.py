"""What peers break today, and why. A peer that mends itself, or breaks more, fails the test."""

from __future__ import annotations

VERSIONS = {"torch": "2.13", "jax": "0.10", "optax": "0.2.8", "tensorflow-cpu": "2.21", "keras": "3.15"}
"""Where these facts were seen."""

REASONS = {
    "padding": "TensorFlow's posteriors are float32 for float64 logits too, and the last bit of its logarithm depends "
    "on the size of the array: 3e-8 in the gradient",
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
    "lengths": "the same",
}
"""By law; what breaks it in the peers below."""

BATCH_COST = "keras.backend.ctc_batch_cost"
"""It adds keras.config.epsilon() to every probability, and so breaks most of what can be broken."""

ALL = {"closed-scores", "impossible", "refuses-labels"}
ROUNDED = {"non-negative"}
FLOORED = {"masked", "extreme-scores"}
PADDED = {"nan-in-padding"}
EMPTY = {"empty"}
CUT = {"refuses-lengths"}
OTHER_GRADIENT = {"finite-differences", "softmax-minus-posterior", "definition", "sizes", "lengths"}

WRONG: dict[str, set[str]] = {
    "torch": set(),
    "torch (log-probs)": (ALL | FLOORED | PADDED | EMPTY | OTHER_GRADIENT | {"nan-in-a-row"}) - {"refuses-labels"},
    "optax": set(),
    "tf.nn": FLOORED | EMPTY,
    "keras.ops (torch)": set(),
    "keras.losses.CTC (torch)": set(),
}
"""Of these, what is wrong and not careless, where it was looked at: all that a gradient by log-probabilities breaks."""

EXPECTED: dict[str, set[str]] = {
    "torch": ALL | ROUNDED | EMPTY,
    "torch (log-probs)": ALL | FLOORED | PADDED | EMPTY | OTHER_GRADIENT | {"nan-in-a-row"},
    "optax": ALL | ROUNDED | PADDED,
    "tf.nn": ALL | ROUNDED | FLOORED | PADDED | EMPTY | CUT,
    "keras.ops (torch)": ALL | ROUNDED | PADDED | EMPTY,
    "keras.ops (jax)": ALL | ROUNDED | PADDED | CUT,
    "keras.ops (tensorflow)": ALL | ROUNDED | FLOORED | PADDED | EMPTY | CUT,
    "keras.losses.CTC (torch)": ALL | ROUNDED | EMPTY,
    "keras.losses.CTC (jax)": ALL | ROUNDED | EMPTY,
    "keras.losses.CTC (tensorflow)": ALL | ROUNDED | FLOORED | EMPTY,
    BATCH_COST: ALL
    | FLOORED
    | PADDED
    | EMPTY
    | CUT
    | OTHER_GRADIENT
    | {"digits", "padding", "time-reversal", "certain-path", "sums-to-1", "cut", "nan-in-a-row"},
}
