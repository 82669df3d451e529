"""Keras' frontend, on the backend of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss.keras import Greedy, Report, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors

from .frontend import Frontend
from .gradients import GRADIENTS

BACKEND = keras.config.backend()


@dataclass(frozen=True)
class KerasFrontend(Frontend):
    name = f"keras-{BACKEND}"
    concatenated = False
    strides = False
    traced_gradient = BACKEND == "jax"
    few_shapes = BACKEND == "jax"

    def precision(self) -> AbstractContextManager[Any]:
        """JAX makes float32 of everything unless it is told not to."""
        if BACKEND != "jax" or self.dtype != "float64":
            return nullcontext()
        import jax

        return jax.enable_x64(True)

    def tensor(self, values: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(np.asarray(values, np.float64)), self.dtype)

    def log_softmax(self, scores: Any) -> np.ndarray:
        with self.precision():
            return ops.convert_to_numpy(ops.cast(ops.log_softmax(self.tensor(scores)), "float32")).astype(np.float64)

    def rounded(self, values: Any) -> np.ndarray:
        with self.precision():
            return ops.convert_to_numpy(self.tensor(values)).astype(np.float64)

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        with self.precision():
            return ops.convert_to_numpy(ctc_loss(self.tensor(logits), targets, *args, **options))

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        with self.precision():
            x = self.tensor(logits)

            def loss(x: Any) -> Any:
                return ctc_loss(x, targets, *args, **options)

            found, (gradient,) = GRADIENTS[BACKEND](loss, [x], upstream)
            assert keras.backend.standardize_dtype(gradient.dtype) == self.dtype
            gradient = ops.convert_to_numpy(gradient)
            return ops.convert_to_numpy(found), gradient.astype(np.float32) if self.half else gradient

    @property
    def few_tests(self) -> bool:
        return BACKEND != "tensorflow"

    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        with self.precision():
            return ops.convert_to_numpy(ctc_posteriors(self.tensor(logits), targets, *args, **options))

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Report:
        with self.precision():
            return ctc_check(self.tensor(logits), targets, *args, **options)

    def greedy(self, logits: Any, *args: Any, **options: Any) -> list[Greedy]:
        with self.precision():
            return ctc_greedy(self.tensor(logits), *args, **options)


class KerasLaterFrontend(KerasFrontend):
    """Types for `make test-long`: each shape is a second's compilation more, of what another frontend does too."""

    long = True


class KerasArraysFrontend(KerasFrontend):
    """TensorFlow's operations alone, as under XLA or on a GPU, but one by one: nothing is compiled for each shape."""

    name = "keras-tensorflow-arrays"
    kernel = "whole-array"
    long = True

    def loss_and_grad(self, *args: Any, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        with _without_python():
            return super().loss_and_grad(*args, **options)

    def loss(self, *args: Any, **options: Any) -> np.ndarray:
        with _without_python():
            return super().loss(*args, **options)


@contextmanager
def _without_python() -> Iterator[None]:
    from seqloss.keras.ctc import tensorflow as frontend

    before = frontend._python_may_be_called
    frontend._python_may_be_called = lambda: False
    try:
        yield
    finally:
        frontend._python_may_be_called = before


SOON = {
    "torch": {"float16", "bfloat16", "float32", "float64"},
    "jax": {"float32"},
    "tensorflow": {"float16", "float32"},
}
KERAS_FRONTENDS: list[Frontend] = [
    (KerasFrontend if dtype in SOON[BACKEND] else KerasLaterFrontend)(dtype)
    for dtype in ("float16", "bfloat16", "float32", "float64")
]
if BACKEND == "tensorflow":
    KERAS_FRONTENDS += [KerasArraysFrontend(dtype) for dtype in ("float32", "float64")]
