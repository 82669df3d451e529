"""The NumPy frontend; bfloat16 is ml_dtypes'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss.numpy import (
    Alignment,
    Greedy,
    Report,
    ctc_align,
    ctc_check,
    ctc_greedy,
    ctc_loss,
    ctc_loss_and_grad,
    ctc_posteriors,
)

from .frontend import Frontend


@dataclass(frozen=True)
class NumpyFrontend(Frontend):
    name = "numpy"
    aligns = True

    def array(self, values: Any) -> np.ndarray:
        with np.errstate(over="ignore"):  # -1e9 in float16 is -inf
            return np.asarray(values).astype(self.stored, copy=False)

    def rounded(self, values: Any) -> np.ndarray:
        return self.array(values).astype(np.float64)

    def log_softmax(self, scores: Any) -> np.ndarray:
        """NumPy has none: as frameworks compute it, each step rounded to this type but the sum."""
        x = self.array(scores)
        below = x - x.max(axis=-1, keepdims=True)
        total = np.exp(below).sum(axis=-1, keepdims=True, dtype=self.computed_in).astype(x.dtype)
        return (below - np.log(total)).astype(self.computed_in)

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return ctc_loss(self.array(logits), targets, *args, **options)

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        scores = self.array(logits)
        loss, gradient = ctc_loss_and_grad(scores, targets, *args, upstream=upstream, **options)
        assert gradient.dtype == scores.dtype
        return loss, gradient.astype(np.float32) if self.half else gradient

    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return ctc_posteriors(self.array(logits), targets, *args, **options)

    def align(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Alignment:
        return ctc_align(self.array(logits), targets, *args, **options)

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Report:
        return ctc_check(self.array(logits), targets, *args, **options)

    def greedy(self, logits: Any, *args: Any, **options: Any) -> list[Greedy]:
        return ctc_greedy(self.array(logits), *args, **options)


NUMPY_FRONTENDS: list[Frontend] = [NumpyFrontend(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")]
