"""What peers break today, and why. A peer that mends itself, or breaks more, fails the test."""

from __future__ import annotations

VERSIONS = {"torch": "2.13", "jax": "0.10", "optax": "0.2.8", "tensorflow-cpu": "2.21", "keras": "3.15"}
"""Where these facts were seen."""

CLOSED = "-inf minus -inf: the gradient is NaN where a class is closed"
FINITE = "a large finite loss for a target that no path fits"
NAN = "the gradient of a target that no path fits is NaN"
ROUNDING = "-1e-16 for a model that is sure: nothing keeps rounding from passing a probability of 1"
LABELS = "a label that is no class, or the blank, gives a number"
PADDED = "padding is multiplied by 0, and 0 times NaN is NaN"

EXPECTED: dict[str, dict[str, str]] = {
    "torch": {
        "closed-scores": CLOSED,
        "impossible": NAN,
        "non-negative": ROUNDING,
        "empty": "an empty batch raises",
        "refuses-labels": LABELS + "; past its classes torch writes past its memory",
    },
    "optax": {
        "closed-scores": CLOSED,
        "impossible": FINITE,
        "non-negative": ROUNDING,
        "nan-in-padding": PADDED,
        "refuses-labels": LABELS,
    },
    "tf.nn": {
        "closed-scores": CLOSED,
        "impossible": FINITE,
        "masked": "log probabilities are floored",
        "extreme-scores": "log probabilities are floored",
        "non-negative": ROUNDING,
        "nan-in-padding": PADDED,
        "empty": "empty targets, empty batches or no frames raise or give other numbers",
        "refuses-labels": LABELS,
        "refuses-lengths": "lengths past their axis are cut silently",
    },
}
