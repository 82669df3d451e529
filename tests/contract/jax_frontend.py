"""The JAX frontend twice: on the CPU kernel, and on the whole-array formula that runs elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqloss import contract, errors
from seqloss.jax import ctc_check, ctc_greedy, ctc_loss, ctc_posteriors
from seqloss.jax.ctc import kernel

from .frontend import Frontend


@dataclass(frozen=True)
class JaxFrontend(Frontend):
    """Calls that keep the contract are compiled, all arrays traced; the others are made as they are, to be refused."""

    name = "jax"
    concatenated = False
    strides = False
    few_shapes = True
    traced_gradient = True

    @property
    def few_tests(self) -> bool:
        return self.dtype != "float32"

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

    def call(self, function: Callable[..., Any], logits: Any, *args: Any, upstream: Any = None, **options: Any) -> Any:
        with self.precision():
            integers = kept(logits, *args, **options)
            x = self.array(logits)
            if integers is None:
                result = function(x, *args, upstream=upstream, **options)
            else:
                result = program(function, tuple(options.items()), kernel.program)(x, *integers, upstream)
            return jax.tree.map(np.asarray, result)

    def loss(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return self.call(just_loss, logits, targets, *args, **options)

    def loss_and_grad(
        self, logits: Any, targets: Any, *args: Any, upstream: Any = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.call(loss_and_grad, logits, targets, *args, upstream=upstream, **options)

    def posteriors(self, logits: Any, targets: Any, *args: Any, **options: Any) -> np.ndarray:
        return self.call(just_posteriors, logits, targets, *args, **options)

    def log_softmax(self, scores: Any) -> np.ndarray:
        with self.precision():
            return np.asarray(jax.nn.log_softmax(self.array(scores)).astype(self.computed_in))

    def check(self, logits: Any, targets: Any, *args: Any, **options: Any) -> Any:
        with self.precision():
            return ctc_check(self.array(logits), targets, *args, **options)

    def greedy(self, logits: Any, *args: Any, **options: Any) -> Any:
        with self.precision():
            return ctc_greedy(self.array(logits), *args, **options)


def just_loss(x: jax.Array, *args: Any, upstream: None, **options: Any) -> jax.Array:
    return ctc_loss(x, *args, **options)


def just_posteriors(x: jax.Array, *args: Any, upstream: None, **options: Any) -> jax.Array:
    return ctc_posteriors(x, *args, **options)


def loss_and_grad(x: jax.Array, *args: Any, upstream: Any, **options: Any) -> tuple[jax.Array, jax.Array]:
    loss, back = jax.vjp(lambda x: ctc_loss(x, *args, **options), x)
    (gradient,) = back(jnp.ones_like(loss) if upstream is None else jnp.asarray(upstream, loss.dtype))
    assert gradient.dtype == x.dtype
    return loss, gradient.astype(jnp.float32) if gradient.dtype.itemsize == 2 else gradient


@cache
def program(function: Callable[..., Any], options: tuple[tuple[str, Any], ...], inner: Any) -> Callable[..., Any]:
    """Compiled once for each shape and each `inner`, the `kernel.program` that it is compiled with."""
    return jax.jit(lambda x, *args: function(x, *args[:-1], upstream=args[-1], **dict(options)))


def kept(
    logits: Any, targets: Any, logit_lengths: Any = None, target_lengths: Any = None, **options: Any
) -> tuple[Any, ...] | None:
    """Labels and lengths of a call that keeps the contract, as arrays or None; None for one that does not."""
    given = (targets, logit_lengths, target_lengths)
    try:
        batch = contract.validate(np.shape(logits), *given, blank=options.get("blank", 0))
        if not options.get("normalize", True):
            contract.check_normalized(np.asarray(logits, np.float32), batch.logit_lengths, 2.0**-7)
        contract.check_options(
            options.get("infeasible", "inf"), options.get("reduction", "none"), options.get("denominator")
        )
    except (errors.SeqLossError, ValueError):
        return None
    if np.ndim(targets) != 2 or options.get("infeasible") == "raise":
        return None
    checked = (batch.targets, batch.logit_lengths, batch.target_lengths)
    return tuple(
        value if value is None or isinstance(value, np.ndarray) else array
        for value, array in zip(given, checked, strict=True)
    )


@dataclass(frozen=True)
class JaxArraysFrontend(JaxFrontend):
    """What a GPU or TPU would compile, for few sizes, each of which costs a compilation: see `few_sizes`."""

    name = "jax-arrays"
    kernel = "whole-array"
    long = True

    def call(self, function: Callable[..., Any], logits: Any, *args: Any, upstream: Any = None, **options: Any) -> Any:
        on_cpu, kernel.program = kernel.program, kernel.whole_array_program
        try:
            few = few_sizes(logits, *args, **options)
            if few is None:
                return super().call(function, logits, *args, upstream=upstream, **options)
            result = super().call(function, few.logits, *few.args, upstream=upstream, **few.options)
        finally:
            kernel.program = on_cpu
        return tuple(map(few.restored, result)) if isinstance(result, tuple) else few.restored(result)


@dataclass(frozen=True)
class FewSizes:
    """A call that means the same, and the way back from its gradient."""

    logits: np.ndarray
    args: tuple[np.ndarray, ...]
    options: dict[str, Any]
    time: int
    order: np.ndarray  # where each class went, (classes,)

    def restored(self, result: np.ndarray) -> np.ndarray:
        return result[:, : self.time, self.order] if result.ndim == 3 else result


def few_sizes(
    logits: Any, targets: Any, logit_lengths: Any = None, target_lengths: Any = None, **options: Any
) -> FewSizes | None:
    """Garbage up to the next of few sizes of time and labels; -inf for classes up to eight, the blank moved in front.

    None where the call is to be refused, or has other sizes.
    """
    shape = np.shape(logits)
    try:
        batch = contract.validate(shape, targets, logit_lengths, target_lengths, blank=options.get("blank", 0))
        if not options.get("normalize", True):
            contract.check_normalized(np.asarray(logits, np.float32), batch.logit_lengths, 2.0**-7)
    except errors.SeqLossError:
        return None
    if np.ndim(targets) != 2:
        return None
    classes = shape[2]
    order = np.argsort([batch.blank, *(c for c in range(classes) if c != batch.blank)])
    array = np.asarray(logits)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    moved = np.full((*shape[:2], max(classes, 8)), -np.inf, array.dtype)
    moved[..., order] = array
    moved = np.pad(moved, ((0, 0), (0, -shape[1] % 16), (0, 0)), constant_values=np.nan)
    inside = np.arange(batch.targets.shape[1]) < batch.target_lengths[:, None]
    labels = np.where(inside, order[np.where(inside, batch.targets, 0)], -1)
    labels = np.pad(labels, ((0, 0), (0, -labels.shape[1] % 8)), constant_values=-1)
    args = (labels, batch.logit_lengths, batch.target_lengths)
    return FewSizes(moved, args, {**options, "blank": 0}, shape[1], order)


JAX_FRONTENDS: list[Frontend] = [
    *(JaxFrontend(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")),
    *(JaxArraysFrontend(dtype) for dtype in ("float32", "float64")),
]
