"""Batches to compare on: drawn by Hypothesis, or named."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


@dataclass(frozen=True)
class Problem:
    """The arguments of a loss."""

    logits: np.ndarray  # (batch, time, classes)
    targets: np.ndarray  # (batch, labels)
    logit_lengths: np.ndarray  # (batch,)
    target_lengths: np.ndarray  # (batch,)
    blank: int = 0
    normalize: bool = True

    @property
    def args(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.targets, self.logit_lengths, self.target_lengths

    @property
    def options(self) -> dict[str, Any]:
        return {"blank": self.blank, "normalize": self.normalize}

    def with_logits(self, logits: np.ndarray) -> Problem:
        return replace(self, logits=logits)


def examples(number: int) -> int:
    """How many problems to draw.

    In Triton's interpreter, where each takes half a second, a tenth; of Keras on JAX, which traces each anew what the
    JAX frontend is asked too, half.
    """
    if os.environ.get("TRITON_INTERPRET") == "1":
        return max(3, number // 10)
    return number // 2 if os.environ.get("KERAS_BACKEND") == "jax" else number


STYLES = {
    "flat": st.just(0.0),
    "usual": st.floats(-8, 8, width=16),
    "confident": st.sampled_from([0.0, 0.0, 0.0, 15.0, 20.0]),
    "extreme": st.floats(-60000, 60000, width=16),
    "masked": st.sampled_from([0.0, 1.0, -2.0, -1e4, -6e4, -np.inf]),
}


FEW_SHAPES = [(3, 12, 6, 5, 0), (2, 7, 4, 3, 3), (1, 12, 2, 5, 1), (2, 5, 1, 0, 0), (1, 0, 3, 2, 0), (3, 4, 3, 0, 1)]
"""Batch, time, classes, labels and blank, for frontends to which each new one costs a compilation."""


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Up to three rows of up to 12 frames, 6 classes and 5 labels; and a blank."""
    batch, time, classes = draw(st.integers(1, 3)), draw(st.integers(0, 12)), draw(st.integers(1, 6))
    return batch, time, classes, draw(st.integers(0, 5)) if classes > 1 else 0, draw(st.integers(0, classes - 1))


@st.composite
def drawn(draw: st.DrawFn, few_shapes: bool = False, normalize: bool = True) -> Problem:
    """Arrays of any small shape, or of few; rows of any length in them."""
    batch, time, classes, longest, blank = draw(st.sampled_from(FEW_SHAPES) if few_shapes else shapes())
    labels = st.sampled_from([c for c in range(classes) if c != blank] or [0])
    logits = draw(
        hnp.arrays(np.float64, (batch, time, classes), elements=STYLES[draw(st.sampled_from(sorted(STYLES)))])
    )
    if not normalize:
        logits = log_probabilities(logits)
    return Problem(
        logits,
        draw(hnp.arrays(np.int64, (batch, longest), elements=labels)),
        draw(hnp.arrays(np.int64, (batch,), elements=st.integers(0, time))),
        draw(hnp.arrays(np.int64, (batch,), elements=st.integers(0, longest))),
        blank,
        normalize,
    )


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """log_softmax, a little under 1 in sum so that no rounding to another type lifts it over 1.001."""
    with np.errstate(invalid="ignore"):
        top = np.maximum(scores.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)
        return scores - top - np.log(np.exp(scores - top).sum(axis=-1, keepdims=True) + 1e-300) - 0.02


def uneven(rows: int) -> np.ndarray:
    """An upstream gradient that no mistake in its use survives: each row its own, of both signs."""
    return np.array([(-1.0) ** n * (0.75 + 0.5 * n) for n in range(rows)])


def random(
    batch: int, time: int, classes: int, labels: int, scale: float = 3.0, seed: int = 0, blank: int = 0
) -> Problem:
    """Normal scores, uniform labels, uneven lengths."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes - 1, (batch, labels))
    return Problem(
        scale * rng.normal(size=(batch, time, classes)),
        targets + (targets >= blank % classes),
        time - 3 * np.arange(batch) % max(1, time // 4),
        np.maximum(0, labels - np.arange(batch)),
        blank,
    )


def sure(margin: float, time: int = 300, classes: int = 20, labels: int = 30, seed: int = 0) -> Problem:
    """A model that is sure and right: `margin` nats between the best class of a frame and the others."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(1, classes, labels)
    path = np.zeros(time, np.int64)
    path[5 + (time - 10) // labels * np.arange(labels)] = targets
    logits = rng.normal(size=(time, classes)) * 0.3
    logits[np.arange(time), path] = margin
    return Problem(logits[None], targets[None], np.array([time]), np.array([labels]))


def noisy_wrong(margin: float) -> Problem:
    """Sure, and wrong in a tenth of its frames."""
    problem = sure(margin)
    rng = np.random.default_rng(1)
    frames = rng.choice(300, 30, replace=False)
    logits = problem.logits.copy()
    logits[0, frames, rng.integers(0, 20, 30)] += 2 * margin
    return problem.with_logits(logits)


NAMED = {
    "phone": random(2, 300, 48, 40),
    "char": random(2, 800, 32, 120, blank=-1),
    "flat": random(1, 400, 6, 60, scale=0.0),
    "scores times 1500": random(1, 300, 8, 60, scale=1500.0),
    "masked to -1e4": random(1, 300, 8, 20).with_logits(
        np.where(np.arange(8) == 3, -1e4, random(1, 300, 8, 20).logits)
    ),
    "sure by 2": sure(2.0),
    "sure by 8": sure(8.0),
    "sure by 16": sure(16.0),
    "sure by 40": sure(40.0),
    "sure by 80": sure(80.0),
    "sure by 20, wrong in places": noisy_wrong(20.0),
}
