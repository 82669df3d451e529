"""CTC of optax, and seqloss.jax, compiled once per shape.

jax_enable_x64 is on for float64 logits only: with it, optax computes parts of a float32 loss in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from seqloss.verify.adapters.types import Adapter, Loss


def make_adapter(loss: Loss) -> Adapter:
    """Turn a loss of JAX arrays into a function of NumPy arrays that also returns the gradient of JAX.

    Args:
        loss: takes logits, targets and both lengths as arrays, all traced, and the blank as a number; returns
            losses (batch,).
    """

    def adapter(
        logits: np.ndarray,
        targets: np.ndarray,
        logit_lengths: np.ndarray,
        target_lengths: np.ndarray,
        blank: int,
        upstream: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        import jax

        weights = np.ones(len(logits)) if upstream is None else upstream
        with jax.enable_x64(logits.dtype == np.float64):
            losses, gradient = _program(loss, blank)(logits, targets, logit_lengths, target_lengths, weights)
            return np.asarray(losses), np.asarray(gradient)

    return adapter


@cache
def _program(loss: Loss, blank: int) -> Callable[..., Any]:
    """The compiled function. JAX caches compilations per function and shape, so each loss keeps its function."""
    import jax

    def program(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, weights: Any) -> tuple[Any, Any]:
        losses, back = jax.vjp(lambda x: loss(x, targets, logit_lengths, target_lengths, blank), x)
        return losses, back(weights.astype(losses.dtype))[0]

    return jax.jit(program)


def _with_paddings(ctc_loss: Loss, x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """Call a function with the signature of optax."""
    import jax.numpy as jnp

    def paddings(size: int, lengths: Any) -> Any:
        return (jnp.arange(size) >= lengths[:, None]).astype(x.dtype)

    frames, labels = paddings(x.shape[1], logit_lengths), paddings(targets.shape[1], target_lengths)
    return ctc_loss(x, frames, targets, labels, blank_id=blank)


def _optax(*arguments: Any) -> Any:
    import optax

    return _with_paddings(optax.ctc_loss, *arguments)


def _drop_in(*arguments: Any) -> Any:
    from seqloss.jax import optax_ctc_loss

    return _with_paddings(optax_ctc_loss, *arguments)


def _frontend(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    from seqloss.jax import ctc_loss

    return ctc_loss(x, targets, logit_lengths, target_lengths, blank=blank)


def _whole_arrays(*arguments: Any) -> Any:
    """A separate function, so that its compilations are cached separately."""
    return _frontend(*arguments)


_graded_whole_arrays = make_adapter(_whole_arrays)


def whole_arrays(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The implementation for GPU and TPU, compiled for the CPU."""
    from seqloss.jax.ctc import kernel

    before, kernel.program = kernel.program, kernel.whole_array_program
    try:
        return _graded_whole_arrays(logits, targets, logit_lengths, target_lengths, blank, upstream)
    finally:
        kernel.program = before


optax = make_adapter(_optax)
frontend = make_adapter(_frontend)
drop_in = make_adapter(_drop_in)
