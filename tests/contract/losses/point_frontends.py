"""The frontends of this process, as the losses of a batch's points are called: see `tests.contract.frontends`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import ml_dtypes
import numpy as np
import pytest


class Found(NamedTuple):
    """A loss, and the gradients of sum(upstream * loss)."""

    loss: np.ndarray
    gradient: np.ndarray
    of_temperature: np.ndarray


@dataclass(frozen=True)
class PointFrontend:
    """One frontend for points of one type.

    Attributes:
        name: what tests call it.
        dtype: of the points.
        few_shapes: each new shape or option costs a compilation.
        few_types: other types than float32 run in `make test-long`: JAX compiles for each, and Keras calls the frontend
            of its backend, or does as the others do.
        widens: float32 points that float32 cannot compare well are computed in float64.
    """

    dtype: str
    name: ClassVar[str]
    few_shapes: ClassVar[bool] = False
    few_types: ClassVar[bool] = False
    widens: ClassVar[bool] = False

    @property
    def stored(self) -> np.dtype:
        return np.dtype(ml_dtypes.bfloat16 if self.dtype == "bfloat16" else self.dtype)

    @property
    def computed_in(self) -> np.dtype:
        return np.dtype(np.float64 if self.dtype == "float64" else np.float32)

    def rounded(self, points: Any) -> np.ndarray:
        """The points that the frontend gets, in float64."""
        return np.asarray(points).astype(self.stored).astype(np.float64)

    def loss(self, points: Any, labels: Any, **options: Any) -> np.ndarray:
        """`soft_nearest_neighbor` without a gradient, called as a user does."""
        raise NotImplementedError

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        raise NotImplementedError


class NumpyPoints(PointFrontend):
    name = "numpy"
    widens = True

    def loss(self, points: Any, labels: Any, **options: Any) -> np.ndarray:
        from seqloss.numpy import soft_nearest_neighbor

        return np.asarray(soft_nearest_neighbor(_stored(points, self.stored), labels, **options))

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        from seqloss.numpy import soft_nearest_neighbor_and_grad

        array = _stored(points, self.stored)
        found = soft_nearest_neighbor_and_grad(array, labels, temperature=temperature, upstream=upstream, **options)
        assert found[1].dtype == array.dtype
        return Found(np.asarray(found[0]), found[1].astype(np.float64), np.asarray(found[2]))


class TorchPoints(PointFrontend):
    """By blocks, as in a training."""

    name = "torch"
    widens = True

    def tensor(self, points: Any) -> Any:
        import torch

        array = np.asarray(points)
        shared = array.dtype == self.stored and self.dtype != "bfloat16"
        found = torch.from_numpy(array if shared else array.astype(np.float64))
        return found.to(getattr(torch, self.dtype))

    def loss(self, points: Any, labels: Any, **options: Any) -> np.ndarray:
        from seqloss.torch import soft_nearest_neighbor

        return soft_nearest_neighbor(self.tensor(points), _tensor(labels), **options).numpy()

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        import torch

        from seqloss.torch import soft_nearest_neighbor

        x = self.tensor(points).detach().requires_grad_()
        heat = torch.tensor(temperature, dtype=getattr(torch, self.computed_in.name), requires_grad=True)
        found = soft_nearest_neighbor(x, _tensor(labels), temperature=heat, **options)
        found.backward(torch.from_numpy(_weights(upstream, found.detach().numpy())))
        assert x.grad is not None
        assert heat.grad is not None
        assert x.grad.dtype == x.dtype
        return Found(found.detach().numpy(), x.grad.double().numpy(), heat.grad.numpy())


class TorchWholePoints(TorchPoints):
    """As one expression, as under torch.func's transforms."""

    name = "torch-whole"
    widens = False

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        import torch

        from seqloss.torch import soft_nearest_neighbor

        def call(x: Any, heat: Any) -> Any:
            return soft_nearest_neighbor(x, _tensor(labels), temperature=heat, **options)

        heat = torch.tensor(temperature, dtype=getattr(torch, self.computed_in.name))
        found, pull = torch.func.vjp(call, self.tensor(points), heat)
        gradient, of_temperature = pull(torch.from_numpy(_weights(upstream, found.numpy())))
        assert gradient.dtype == getattr(torch, self.dtype)
        return Found(found.numpy(), gradient.double().numpy(), of_temperature.numpy())


class JaxPoints(PointFrontend):
    """Compiled for a gradient, all arrays traced."""

    name = "jax"
    few_shapes = True
    few_types = True

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        import jax

        with jax.enable_x64(self.dtype == "float64"):
            yield

    def loss(self, points: Any, labels: Any, **options: Any) -> np.ndarray:
        import jax.numpy as jnp

        from seqloss.jax import soft_nearest_neighbor

        with self.precision():
            points = jnp.asarray(points, self.dtype) if np.ndim(points) else points
            return np.asarray(soft_nearest_neighbor(points, labels, **options))

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        import jax.numpy as jnp

        from seqloss.jax.losses import soft_nearest_neighbor as module

        with self.precision():
            x, heat = jnp.asarray(points, self.dtype), jnp.asarray(temperature, self.computed_in)
            run = _jax_program(tuple(options.items()), module.ROWS)
            upstream = None if upstream is None else jnp.asarray(upstream, self.computed_in)
            found, gradient, of_temperature = run(x, np.asarray(labels), heat, upstream)
            assert gradient.dtype == x.dtype
            return Found(np.asarray(found), np.asarray(gradient).astype(np.float64), np.asarray(of_temperature))


@cache
def _jax_program(options: tuple[tuple[str, Any], ...], rows: int) -> Callable[..., Any]:
    """Compiled once for each shape, each option and each `ROWS`."""
    import jax
    import jax.numpy as jnp

    from seqloss.jax import soft_nearest_neighbor

    def run(x: Any, labels: Any, heat: Any, upstream: Any) -> Any:
        found, pull = jax.vjp(lambda x, t: soft_nearest_neighbor(x, labels, temperature=t, **dict(options)), x, heat)
        return found, *pull(jnp.ones_like(found) if upstream is None else jnp.asarray(upstream, found.dtype))

    return jax.jit(run)


class KerasPoints(PointFrontend):
    name = f"keras-{os.environ.get('KERAS_BACKEND', '')}"
    few_shapes = os.environ.get("KERAS_BACKEND") == "jax"
    few_types = True
    widens = os.environ.get("KERAS_BACKEND") == "torch"

    def tensor(self, values: Any, dtype: str) -> Any:
        from keras import ops

        return ops.cast(ops.convert_to_tensor(np.asarray(values, np.float64)), dtype)

    def loss(self, points: Any, labels: Any, **options: Any) -> np.ndarray:
        from keras import ops

        from seqloss.keras import soft_nearest_neighbor

        with _precision(self):
            return ops.convert_to_numpy(soft_nearest_neighbor(self.tensor(points, self.dtype), labels, **options))

    def loss_and_grad(
        self, points: Any, labels: Any, *, temperature: float = 1.0, upstream: Any = None, **options: Any
    ) -> Found:
        from keras import ops

        from seqloss.keras import soft_nearest_neighbor
        from tests.contract.keras_frontend import BACKEND, GRADIENTS

        with _precision(self):
            x, heat = self.tensor(points, self.dtype), self.tensor(temperature, self.computed_in.name)
            loss, gradient = GRADIENTS[BACKEND](
                lambda x: soft_nearest_neighbor(x, labels, temperature=heat, **options), x, upstream
            )
            assert gradient.dtype == x.dtype
            _, of_temperature = GRADIENTS[BACKEND](
                lambda t: soft_nearest_neighbor(x, labels, temperature=t, **options), heat, upstream
            )
            gradient = ops.convert_to_numpy(ops.cast(gradient, self.computed_in.name)).astype(np.float64)
            return Found(ops.convert_to_numpy(loss), gradient, ops.convert_to_numpy(of_temperature))


def _precision(frontend: PointFrontend) -> contextlib.AbstractContextManager[Any]:
    from tests.contract.keras_frontend import KerasFrontend

    return KerasFrontend(frontend.dtype).precision()


def _stored(points: Any, dtype: np.dtype) -> Any:
    """Arrays in a type, with their memory if they have it already; lists as they are."""
    return points.astype(dtype, copy=False) if isinstance(points, np.ndarray) else points


def _tensor(labels: Any) -> Any:
    import torch

    return torch.from_numpy(labels) if isinstance(labels, np.ndarray) else labels


def _weights(upstream: Any, loss: np.ndarray) -> np.ndarray:
    return (np.ones(loss.shape) if upstream is None else np.asarray(upstream)).astype(loss.dtype)


KINDS: list[type[PointFrontend]] = [NumpyPoints, TorchPoints, TorchWholePoints, JaxPoints]
if "KERAS_BACKEND" in os.environ:
    KINDS = [KerasPoints]

ALL = [kind(dtype) for kind in KINDS for dtype in ("float16", "bfloat16", "float32", "float64")]


def params(chosen: Callable[[PointFrontend], bool] = lambda frontend: True) -> list[Any]:
    """Parameters of a fixture or a test."""
    marks = {True: [pytest.mark.long], False: []}
    return [
        pytest.param(one, id=f"{one.name}-{one.dtype}", marks=marks[one.few_types and one.dtype != "float32"])
        for one in ALL
        if chosen(one)
    ]
