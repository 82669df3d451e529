"""The losses beside CTC as every frontend offers them: arrays in, value and gradients out as arrays."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

from tests.contract.gradients import GRADIENTS, on_jax, on_torch, on_torch_func

BACKEND = os.environ.get("KERAS_BACKEND", "")
TYPES = ("float16", "bfloat16", "float32", "float64")
ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 0.0, "float64": 0.0}
"""Of a gradient in the type of what is given, relative."""

Result = tuple[np.ndarray, tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class LossFrontend(ABC):
    """One frontend, given floats of one type.

    Attributes:
        name: what tests call it.
        package: of seqloss.
        soon: the types that `make test` runs.
        few_shapes: each new shape or option costs a compilation.
        traced_gradient: what is differentiated has no values yet when the frontend is called.
    """

    dtype: str
    name: ClassVar[str]
    package: ClassVar[str]
    soon: ClassVar[tuple[str, ...]] = TYPES
    few_shapes: ClassVar[bool] = False
    traced_gradient: ClassVar[bool] = False

    @property
    def computed_in(self) -> str:
        """The type of a loss."""
        return "float64" if self.dtype == "float64" else "float32"

    def stored(self, values: Any) -> np.ndarray:
        """An array of the type, with its memory and strides if it has the type already."""
        kind = ml_dtypes.bfloat16 if self.dtype == "bfloat16" else np.dtype(self.dtype)
        return np.asarray(values).astype(kind, copy=False)

    def rounded(self, values: Any) -> np.ndarray:
        """The floats that the frontend really gets, in float64."""
        return self.stored(values).astype(np.float64)

    def function(self, name: str) -> Callable[..., Any]:
        """A public function of the frontend."""
        return getattr(import_module(f"seqloss.{self.package}"), name)

    def call(self, name: str, floats: Sequence[Any], *rest: Any, **options: Any) -> Any:
        """What a function returns for floats as tensors of the type, and the rest as its users have them."""
        with self.precision():
            options = {key: self.other(value) for key, value in options.items()}
            return self.function(name)(*map(self.tensor, floats), *map(self.other, rest), **options)

    def value(self, name: str, floats: Sequence[Any], *rest: Any, **options: Any) -> np.ndarray:
        """A loss without a gradient."""
        return self.array(self.call(name, floats, *rest, **options))

    @abstractmethod
    def value_and_grads(
        self, name: str, floats: Sequence[Any], *rest: Any, upstream: Any = None,
        learnt: Mapping[str, float] | None = None, **options: Any,
    ) -> Result:  # fmt: skip
        """A loss, and the gradients of sum(upstream * loss), 1 for None, with respect to all floats and all `learnt`.

        Args:
            name: of the function.
            floats: its first arguments.
            rest: its other ones.
            upstream: one number, or an array of the loss's shape.
            learnt: options that have a gradient.
            options: other ones.
        """

    @abstractmethod
    def tensor(self, values: Any) -> Any: ...

    @abstractmethod
    def array(self, values: Any) -> np.ndarray: ...

    def other(self, values: Any) -> Any:
        """An argument that is no float."""
        return values

    def precision(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def assert_types(self, gradients: Iterable[Any]) -> None:
        """Assert that gradients have the type of what they belong to."""
        for gradient in gradients:
            assert getattr(gradient.dtype, "name", str(gradient.dtype).removeprefix("torch.")) == self.dtype


class NumpyFrontend(LossFrontend):
    name = package = "numpy"

    def tensor(self, values: Any) -> np.ndarray:
        return self.stored(values)

    def array(self, values: Any) -> np.ndarray:
        return np.asarray(values)

    def value_and_grads(
        self, name: str, floats: Sequence[Any], *rest: Any, upstream: Any = None,
        learnt: Mapping[str, float] | None = None, **options: Any,
    ) -> Result:  # fmt: skip
        found = self.call(f"{name}_and_grad", floats, *rest, upstream=upstream, **learnt or {}, **options)
        gradients = found[1] if isinstance(found[1], tuple) else found[1:]
        self.assert_types(gradients[: len(floats)])
        return np.asarray(found[0]), tuple(np.asarray(gradient).astype(np.float64) for gradient in gradients)


class DifferentiatingFrontend(LossFrontend):
    """A frontend whose framework has gradients."""

    def value_and_grads(
        self, name: str, floats: Sequence[Any], *rest: Any, upstream: Any = None,
        learnt: Mapping[str, float] | None = None, **options: Any,
    ) -> Result:  # fmt: skip
        names, scalar = tuple(learnt or {}), type(self)(self.computed_in).tensor
        options = {key: self.other(value) for key, value in options.items()}

        def loss(*given: Any) -> Any:
            others = dict(zip(names, given[len(floats) :], strict=True))
            return self.function(name)(*given[: len(floats)], *map(self.other, rest), **others, **options)

        with self.precision():
            given = [*map(self.tensor, floats), *map(scalar, (learnt or {}).values())]
            found, gradients = self.differentiate(loss, given, upstream)
            self.assert_types(gradients[: len(floats)])
            return self.array(found), tuple(self.array(gradient).astype(np.float64) for gradient in gradients)

    @abstractmethod
    def differentiate(self, loss: Callable[..., Any], given: Sequence[Any], upstream: Any) -> tuple[Any, Sequence[Any]]:
        """See `tests.contract.gradients`."""


class TorchFrontend(DifferentiatingFrontend):
    name = package = "torch"

    def tensor(self, values: Any) -> Any:
        from tests.contract.torch_tensors import as_floats

        return as_floats(values, self.dtype)

    def other(self, values: Any) -> Any:
        from tests.contract.torch_tensors import share_arrays

        return share_arrays(values)

    def array(self, values: Any) -> np.ndarray:
        return (values.double() if values.element_size() == 2 else values).numpy()

    def differentiate(self, loss: Callable[..., Any], given: Sequence[Any], upstream: Any) -> tuple[Any, Sequence[Any]]:
        return on_torch(loss, given, upstream)


class TorchFuncFrontend(TorchFrontend):
    """Differentiated by torch.func."""

    name = "torch-func"

    def differentiate(self, loss: Callable[..., Any], given: Sequence[Any], upstream: Any) -> tuple[Any, Sequence[Any]]:
        return on_torch_func(loss, given, upstream)


class JaxFrontend(DifferentiatingFrontend):
    name = package = "jax"
    soon = ("float32",)
    few_shapes = True
    traced_gradient = True

    def precision(self) -> AbstractContextManager[Any]:
        import jax

        return jax.enable_x64(self.dtype == "float64")

    def tensor(self, values: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(self.stored(values))

    def array(self, values: Any) -> np.ndarray:
        return np.asarray(values)

    def differentiate(self, loss: Callable[..., Any], given: Sequence[Any], upstream: Any) -> tuple[Any, Sequence[Any]]:
        return on_jax(loss, given, upstream)


class KerasFrontend(DifferentiatingFrontend):
    """On the backend of this process."""

    name = f"keras-{BACKEND}"
    package = "keras"
    soon = ("float16", "float32") if BACKEND == "tensorflow" else ("float32",)
    few_shapes = traced_gradient = BACKEND == "jax"

    def precision(self) -> AbstractContextManager[Any]:
        return JaxFrontend.precision(self) if BACKEND == "jax" else nullcontext()  # type: ignore[arg-type]

    def tensor(self, values: Any) -> Any:
        from keras import ops

        return ops.cast(ops.convert_to_tensor(np.asarray(values, np.float64)), self.dtype)

    def array(self, values: Any) -> np.ndarray:
        from keras import ops

        return np.asarray(ops.convert_to_numpy(values))

    def differentiate(self, loss: Callable[..., Any], given: Sequence[Any], upstream: Any) -> tuple[Any, Sequence[Any]]:
        return GRADIENTS[BACKEND](loss, given, upstream)


KINDS: list[type[LossFrontend]] = [KerasFrontend] if BACKEND else [NumpyFrontend, TorchFrontend, JaxFrontend]


def params(types: Sequence[str] = TYPES, *further: type[LossFrontend]) -> list[Any]:
    """Parameters of a fixture or a test: each frontend with each of some types.

    JAX compiles for each type, and Keras calls the frontend of its backend, or does as the others do: most of their
    types run in `make test-long`.

    Args:
        types: of the floats.
        further: frontends beside those that every test has.
    """
    return [
        pytest.param(kind(dtype), id=f"{kind.name}-{dtype}", marks=[] if dtype in kind.soon else [pytest.mark.long])
        for kind in (*KINDS, *further)
        for dtype in types
    ]
