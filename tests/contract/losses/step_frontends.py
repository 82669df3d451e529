"""The losses of single steps as every frontend offers them: NumPy arrays in, value and gradient out."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import pytest

BACKEND = os.environ.get("KERAS_BACKEND")
ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 0.0, "float64": 0.0}
"""Of a gradient in the type of the scores, relative."""


@dataclass(frozen=True)
class StepFrontend:
    """One frontend, given scores of one type.

    Attributes:
        name: "numpy", "torch", "jax", or "keras" on the backend of this process.
        dtype: of the scores.
    """

    name: str
    dtype: str

    @property
    def framework(self) -> str:
        return BACKEND or "numpy" if self.name == "keras" else self.name

    @property
    def tolerance(self) -> float:
        """Of a value, relative to numbers near 1; a few roundings of the type that is computed in."""
        return 1e-13 if self.dtype == "float64" else 2e-6

    @property
    def returned(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    def stored(self, values: Any) -> np.ndarray:
        kind = ml_dtypes.bfloat16 if self.dtype == "bfloat16" else np.dtype(self.dtype)
        return np.asarray(values, np.float64).astype(kind)

    def function(self, name: str) -> Callable[..., Any]:
        return getattr(import_module(f"seqloss.{self.name}"), name)

    def value(self, name: str, x: Any, *args: Any, **options: Any) -> np.ndarray:
        with self._precision():
            return self._array(self.function(name)(self._tensor(x), *args, **options))

    def value_and_grad(
        self, name: str, x: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """A loss, and the gradient of sum(upstream * loss) by its first argument, in float64."""
        with self._precision():
            found = self.function(f"{name}_and_grad" if self.name == "numpy" else name)
            if self.name == "numpy":
                loss, gradient = found(self._tensor(x), *args, upstream=upstream, **options)
            else:
                loss, gradient = GRADIENTS[self.framework](
                    lambda x: found(x, *args, **options), self._tensor(x), upstream
                )
            assert self.dtype in str(gradient.dtype)
            return self._array(loss), self._array(gradient).astype(np.float64)

    def _precision(self) -> Any:
        if self.framework != "jax":
            return nullcontext()
        import jax

        return jax.enable_x64(self.dtype == "float64")

    def _tensor(self, x: Any) -> Any:
        if self.framework == "numpy":
            return self.stored(x)
        if self.framework == "jax":
            import jax.numpy as jnp

            return jnp.asarray(self.stored(x))
        if self.framework == "tensorflow":
            import tensorflow as tf

            return tf.convert_to_tensor(self.stored(x))
        import torch

        return torch.tensor(np.asarray(x, np.float64)).to(getattr(torch, self.dtype))

    def _array(self, x: Any) -> np.ndarray:
        if self.framework == "torch":
            x = x.detach()
            return x.double().numpy() if x.element_size() == 2 else x.numpy()
        return np.asarray(x)


def _torch(loss: Callable[..., Any], x: Any, upstream: Any) -> tuple[Any, Any]:
    x = x.requires_grad_()
    found = loss(x)
    import torch

    found.backward(None if upstream is None and not found.ndim else torch.as_tensor(_ones(upstream, found)).to(found))
    return found, x.grad


def _jax(loss: Callable[..., Any], x: Any, upstream: Any) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    found, pull = jax.vjp(loss, x)
    return found, pull(jnp.asarray(_ones(upstream, found), found.dtype))[0]


def _tensorflow(loss: Callable[..., Any], x: Any, upstream: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        found = loss(x)
    weights = tf.cast(_ones(upstream, found), found.dtype)
    return found, tf.convert_to_tensor(tape.gradient(found, x, output_gradients=weights))


def _ones(upstream: Any, loss: Any) -> np.ndarray:
    return np.ones(tuple(loss.shape)) if upstream is None else np.asarray(upstream, np.float64)


GRADIENTS = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}
TYPES = ("float16", "bfloat16", "float32", "float64")
ALWAYS = {"numpy": TYPES, "torch": TYPES}
"""By frontend, the types that `make test` runs, float32 for others: JAX compiles for each type, and Keras calls the
frontend of its backend, or does as the others do."""


def step_params(types: tuple[str, ...] = TYPES) -> list[Any]:
    """Parameters of a fixture."""
    return [
        pytest.param(
            StepFrontend(name, dtype),
            id=f"{name}-{dtype}",
            marks=[] if dtype in ALWAYS.get(name, ("float32",)) else [pytest.mark.long],
        )
        for name in (["keras"] if BACKEND else ["numpy", "torch", "jax"])
        for dtype in types
    ]
