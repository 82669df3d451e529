"""The JAX door twice: on the CPU kernel, and on the whole-array formula that runs elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss import contract, errors
from seqloss.jax import ctc_check, ctc_greedy, ctc_loss, ctc_posteriors, kernel

from .door import Door


@dataclass(frozen=True)
class JaxDoor(Door):
    """Arrays come as they are, so that labels are seen before JAX narrows them."""

    name = "jax"
    concatenated = False
    strides = False

    def array(self, values: Any) -> jax.Array:
        array = np.asarray(values)
        return jnp.asarray(array if array.dtype.kind == "f" else array.astype(np.float64)).astype(self.dtype)

    def rounded(self, values: Any) -> np.ndarray:
        with self.precision():
            return np.asarray(self.array(values).astype(jnp.float32 if self.half else self.dtype), np.float64)

    @contextlib.contextmanager
    def precision(self) -> Iterator[None]:
        with jax.enable_x64(self.dtype == "float64"):
            yield

    def call(self, function: Callable[..., Any], logits: Any, *args: Any, **options: Any) -> Any:
        with self.precision():
            return jax.tree.map(np.asarray, function(self.array(logits), *args, **options))

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return self.call(ctc_loss, logits, targets, *args, **options)

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        def loss_and_grad(x: jax.Array, *args: Any, **options: Any) -> tuple[jax.Array, jax.Array]:
            loss, back = jax.vjp(lambda x: ctc_loss(x, *args, **options), x)
            (gradient,) = back(jnp.ones_like(loss) if upstream is None else jnp.asarray(upstream, loss.dtype))
            assert gradient.dtype == x.dtype
            return loss, gradient.astype(jnp.float32) if self.half else gradient

        return self.call(loss_and_grad, logits, targets, *args, **options)

    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return self.call(ctc_posteriors, logits, targets, *args, **options)

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Any:
        with self.precision():
            return ctc_check(self.array(logits), targets, *args, **options)

    def greedy(self, logits: Any, *args: Any, **options: Any) -> Any:
        with self.precision():
            return ctc_greedy(self.array(logits), *args, **options)


@dataclass(frozen=True)
class JaxArraysDoor(JaxDoor):
    """What a GPU or TPU would compile. Time and labels are padded to few sizes, each of which costs a compilation."""

    name = "jax-arrays"
    same_kernel = False
    kernel = "whole-array"

    def call(self, function: Callable[..., Any], logits: Any, *args: Any, **options: Any) -> Any:
        shape = np.shape(logits)
        kernel.CPU_KERNEL = False
        try:
            padded = _padded(logits, *args, **options)
            if padded is None:
                return super().call(function, logits, *args, **options)
            logits, args, rest = padded
            result = super().call(function, logits, *args, **rest)
        finally:
            kernel.CPU_KERNEL = True
        cut = [x[:, : shape[1]] if x.ndim == 3 else x for x in (result if isinstance(result, tuple) else (result,))]
        return tuple(cut) if isinstance(result, tuple) else cut[0]


def _padded(
    logits: Any, targets: Any, logit_lengths: Any = None, target_lengths: Any = None, **options: Any
) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """The same call with garbage up to the next size of time and labels; None where the call is to be refused."""
    try:
        batch = contract.validate(np.shape(logits), targets, logit_lengths, target_lengths, blank=options.get("blank", 0))
    except errors.SeqLossError:
        return None
    time, labels = np.shape(logits)[1], batch.targets.shape[1]
    logits = np.pad(np.asarray(logits), ((0, 0), (0, _up(time, 16)), (0, 0)), constant_values=np.nan)
    targets = np.pad(batch.targets, ((0, 0), (0, _up(labels, 8))), constant_values=-1)
    return logits, (targets, batch.logit_lengths, batch.target_lengths), options


def _up(count: int, step: int) -> int:
    return -count % step


JAX_DOORS: list[Door] = [
    *(JaxDoor(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")),
    *(JaxArraysDoor(dtype) for dtype in ("float32", "float64")),
]
