"""The losses of pairs and triplets as each frontend offers them: arrays in, value and gradients out as arrays."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

Result = tuple[np.ndarray, tuple[np.ndarray, ...]]
HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""By type, the rounding of a gradient, relative."""


@dataclass(frozen=True)
class PairFrontend(ABC):
    """One frontend, given floats of one type.

    Attributes:
        traced_gradient: what is differentiated has no values yet when the frontend is called.
    """

    dtype: str
    name: ClassVar[str]
    traced_gradient: ClassVar[bool] = False

    @property
    def tolerance(self) -> float:
        """Of values; the definition's own gradients are finite differences, good to 1e-10."""
        return 1e-9 if self.dtype == "float64" else 3e-5

    @property
    def gradient_tolerance(self) -> float:
        return max(self.tolerance, HALF.get(self.dtype, 0.0))

    @property
    def returned(self) -> str:
        return "float64" if self.dtype == "float64" else "float32"

    def stored(self, values: Any) -> np.ndarray:
        kind = ml_dtypes.bfloat16 if self.dtype == "bfloat16" else np.dtype(self.dtype)
        return np.array(values, np.float64).astype(kind)

    def rounded(self, values: Any) -> np.ndarray:
        """The floats that the frontend really gets, in float64."""
        return self.stored(values).astype(np.float64)

    def value(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> np.ndarray:
        """A loss without a gradient."""
        return self.array(self.call(function, [self.tensor(x) for x in floats], *rest, **options))

    @contextmanager
    def precision(self) -> Iterator[None]:
        yield

    @abstractmethod
    def tensor(self, values: Any) -> Any: ...

    @abstractmethod
    def array(self, values: Any) -> np.ndarray: ...

    @abstractmethod
    def call(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        """A public function of the frontend."""

    @abstractmethod
    def value_and_grads(
        self, function: str, floats: Sequence[Any], *rest: Any, upstream: Any = None, **options: Any
    ) -> Result:
        """A loss, and the gradients of sum(upstream * loss), 1 for None, with respect to all floats."""


class NumpyPairs(PairFrontend):
    name = "numpy"

    def tensor(self, values: Any) -> np.ndarray:
        return self.stored(values)

    def array(self, values: Any) -> np.ndarray:
        return np.asarray(values)

    def call(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        import seqloss.numpy as frontend

        return getattr(frontend, function)(*floats, *rest, **options)

    def value_and_grads(
        self, function: str, floats: Sequence[Any], *rest: Any, upstream: Any = None, **options: Any
    ) -> Result:
        given = [self.tensor(x) for x in floats]
        loss, grads = self.call(f"{function}_and_grad", given, *rest, upstream=upstream, **options)
        found = grads if isinstance(grads, tuple) else (grads,)
        assert [grad.dtype for grad in found] == [x.dtype for x in given]
        return np.asarray(loss), tuple(grad.astype(np.float64) for grad in found)


class TorchPairs(PairFrontend):
    name = "torch"

    def tensor(self, values: Any) -> Any:
        import torch

        return torch.tensor(np.array(values, np.float64)).to(getattr(torch, self.dtype))

    def array(self, values: Any) -> np.ndarray:
        return values.detach().numpy()

    def call(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        import seqloss.torch as frontend

        return getattr(frontend, function)(*floats, *rest, **options)

    def value_and_grads(
        self, function: str, floats: Sequence[Any], *rest: Any, upstream: Any = None, **options: Any
    ) -> Result:
        given = [self.tensor(x).requires_grad_() for x in floats]
        loss = self.call(function, given, *rest, **options)
        loss.backward(weights(self.tensor, upstream, loss).to(loss.dtype))
        assert [x.grad.dtype for x in given] == [x.dtype for x in given]
        return self.array(loss), tuple(x.grad.double().numpy() for x in given)


class JaxPairs(PairFrontend):
    name = "jax"
    traced_gradient = True

    @contextmanager
    def precision(self) -> Iterator[None]:
        import jax

        with jax.enable_x64(self.dtype == "float64"):
            yield

    def tensor(self, values: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(self.stored(values))

    def array(self, values: Any) -> np.ndarray:
        return np.asarray(values)

    def call(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        import seqloss.jax as frontend

        return getattr(frontend, function)(*floats, *rest, **options)

    def value(self, *args: Any, **options: Any) -> np.ndarray:
        with self.precision():
            return super().value(*args, **options)

    def value_and_grads(
        self, function: str, floats: Sequence[Any], *rest: Any, upstream: Any = None, **options: Any
    ) -> Result:
        import jax

        with self.precision():
            given = [self.tensor(x) for x in floats]
            loss, pull = jax.vjp(lambda *given: self.call(function, given, *rest, **options), *given)
            grads = pull(weights(self.tensor, upstream, loss).astype(loss.dtype))
            assert [grad.dtype for grad in grads] == [x.dtype for x in given]
            return self.array(loss), tuple(np.asarray(grad).astype(np.float64) for grad in grads)


class KerasPairs(PairFrontend):
    name = "keras"
    traced_gradient = os.environ.get("KERAS_BACKEND") == "jax"

    @contextmanager
    def precision(self) -> Iterator[None]:
        if os.environ["KERAS_BACKEND"] != "jax" or self.dtype != "float64":
            yield
            return
        import jax

        with jax.enable_x64(True):
            yield

    def tensor(self, values: Any) -> Any:
        from keras import ops

        return ops.cast(ops.convert_to_tensor(np.array(values, np.float64)), self.dtype)

    def array(self, values: Any) -> np.ndarray:
        from keras import ops

        return ops.convert_to_numpy(values)

    def call(self, function: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        import seqloss.keras as frontend

        return getattr(frontend, function)(*floats, *rest, **options)

    def value(self, *args: Any, **options: Any) -> np.ndarray:
        with self.precision():
            return super().value(*args, **options)

    def value_and_grads(
        self, function: str, floats: Sequence[Any], *rest: Any, upstream: Any = None, **options: Any
    ) -> Result:
        with self.precision():
            given = [self.tensor(x) for x in floats]
            loss, grads = KERAS_GRADIENTS[os.environ["KERAS_BACKEND"]](
                lambda *given: self.call(function, given, *rest, **options),
                given,
                lambda loss: weights(self.tensor, upstream, loss),
            )
            return self.array(loss), tuple(self.array(grad).astype(np.float64) for grad in grads)


def weights(tensor: Callable[[Any], Any], upstream: Any, loss: Any) -> Any:
    return tensor(np.ones(tuple(loss.shape)) if upstream is None else upstream)


def _on_torch(function: Any, given: Any, upstream: Any) -> Any:
    given = [x.detach().clone().requires_grad_() for x in given]
    loss = function(*given)
    loss.backward(upstream(loss).to(loss.dtype))
    return loss.detach(), [x.grad for x in given]


def _on_tensorflow(function: Any, given: Any, upstream: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = function(*given)
    return loss, tape.gradient(loss, given, output_gradients=tf.cast(upstream(loss), loss.dtype))


def _on_jax(function: Any, given: Any, upstream: Any) -> Any:
    import jax

    loss, pull = jax.vjp(function, *given)
    return loss, pull(upstream(loss).astype(loss.dtype))


KERAS_GRADIENTS = {"torch": _on_torch, "tensorflow": _on_tensorflow, "jax": _on_jax}
KINDS: list[type[PairFrontend]] = [KerasPairs] if "KERAS_BACKEND" in os.environ else [NumpyPairs, TorchPairs, JaxPairs]
SOON = {
    "numpy": HALF.keys() | {"float32", "float64"},
    "torch": HALF.keys() | {"float32", "float64"},
    "jax": {"float64"},
    "keras-torch": {"float32"},
    "keras-jax": {"float32"},
    "keras-tensorflow": {"float16", "float32"},
}
"""What `make test` runs; JAX compiles each operation for each shape and type, and Keras calls the other frontends."""


def frontends() -> list[Any]:
    """Parameters for `pytest.mark.parametrize`."""
    found = []
    for kind in KINDS:
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            name = kind.name if kind is not KerasPairs else f"keras-{os.environ['KERAS_BACKEND']}"
            marks = [] if dtype in SOON[name] else [pytest.mark.long]
            found.append(pytest.param(kind(dtype), marks=marks, id=f"{name}-{dtype}"))
    return found
