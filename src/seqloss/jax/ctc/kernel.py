"""Losses and gradients of a batch of JAX arrays, by the CPU kernel or by JAX operations on whole arrays.

On the CPU, a callback runs the kernel that all frontends share, on the memory of the buffers. On other platforms the
operations of `seqloss.jax.ctc.accelerator` are compiled with the rest of the program. The platform that a program is
lowered for decides, not the default backend. The derivative of `losses` calls `losses_and_grads`, and the derivative of
`losses_and_grads` is a Hessian-vector product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.buffer_callback import buffer_callback

from seqloss import contract
from seqloss.contract import ArgumentNames, Infeasible
from seqloss.formulas.ctc.second_derivative import Gradient
from seqloss.jax.arrays import varying_alike
from seqloss.jax.ctc.accelerator import loss as accelerator
from seqloss.jax.ctc.second_derivative import hessian_vector_product
from seqloss.kernels.numba import pages
from seqloss.numpy.ctc.rows import compute_rows

UNROLL = 8
"""Frames per loop iteration: an iteration launches seven or eight kernels with eight frames, and four with one."""


@dataclass(frozen=True)
class Options:
    """The static options of a compiled program.

    Attributes:
        blank: class index from 0.
        normalize: as in `ctc_loss`.
        softmax: as in `seqloss.kernels.ctc.batch.loss_and_grad`.
        raises: whether a row without a path is an error (on an accelerator: NaN).
        unchecked: labels and lengths are checked when the program runs.
        rounding: the `rounding` of `contract.check_normalized`, if the sums are checked when the program runs; else
            None.
        names: of the arguments, for errors when the program runs; None for those of `ctc_loss`.
    """

    blank: int
    normalize: bool = True
    softmax: bool | None = None
    raises: bool = False
    unchecked: bool = False
    rounding: float | None = None
    names: ArgumentNames | None = None


Arguments = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]
"""Logits float32 or float64 (batch, time, classes); targets, logit_lengths, target_lengths int32; weights
(batch,), a factor for each row, without a derivative."""


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def losses(
    logits: jax.Array, targets: jax.Array, logit_lengths: jax.Array, target_lengths: jax.Array, weights: jax.Array,
    options: Options,
) -> jax.Array:  # fmt: skip
    """Each row's loss times its weight; inf for a row without a path."""
    return _run((logits, targets, logit_lengths, target_lengths, weights), options, gradient=False)[0]


@losses.defjvp
def _losses_jvp(options: Options, primals: Arguments, tangents: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
    loss, gradient = losses_and_grads(*primals, options)
    return loss, _directional(loss, gradient, primals[2], tangents[0])


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def losses_and_grads(
    logits: jax.Array, targets: jax.Array, logit_lengths: jax.Array, target_lengths: jax.Array, weights: jax.Array,
    options: Options,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Each row's loss times its weight, and its gradient."""
    loss, gradient = _run((logits, targets, logit_lengths, target_lengths, weights), options, gradient=True)
    return loss, gradient


@losses_and_grads.defjvp
def _losses_and_grads_jvp(options: Options, primals: Arguments, tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    loss, gradient = losses_and_grads(*primals, options)
    softmax = options.normalize if options.softmax is None else options.softmax
    of: Gradient = "softmax" if softmax else "posterior"
    turned = hessian_vector_product(*primals[:4], tangents[0], options.blank, options.normalize, of)
    turned = turned * primals[4][:, None, None]
    return (loss, gradient), (_directional(loss, gradient, primals[2], tangents[0]), turned)


def _directional(loss: jax.Array, gradient: jax.Array, frames: jax.Array, direction: jax.Array) -> jax.Array:
    """The gradient times a direction. The transpose is 0 in frames without a gradient, for any upstream gradient."""
    unused = jnp.arange(gradient.shape[1]) >= frames[:, None]  # (batch, time)
    zero_gradient = (unused | (loss == jnp.inf)[:, None])[:, :, None]
    return jnp.sum(jnp.where(zero_gradient, 0.0, direction) * gradient, (1, 2), dtype=loss.dtype)


def _run(arguments: Arguments, options: Options, gradient: bool) -> tuple[jax.Array, ...]:
    return program(options, gradient)(*arguments)


@cache
def program(options: Options, gradient: bool) -> Callable[..., tuple[jax.Array, ...]]:
    """Return one function object per set of options, so that JAX compiles it once per shape."""
    elsewhere = partial(_whole_arrays, options=options, gradient=gradient, unroll=UNROLL)
    on_cpu = partial(_call_back, options=options, gradient=gradient)
    return jax.jit(lambda *arguments: lax.platform_dependent(*arguments, cpu=on_cpu, default=elsewhere))


@cache
def whole_array_program(options: Options, gradient: bool) -> Callable[..., tuple[jax.Array, ...]]:
    """The accelerator's program for any platform; one frame per iteration compiles faster."""
    return jax.jit(partial(_whole_arrays, options=options, gradient=gradient, unroll=1))


def _whole_arrays(
    logits: jax.Array, targets: jax.Array, frames: jax.Array, labels: jax.Array, weights: jax.Array, *,
    options: Options, gradient: bool, unroll: int,
) -> tuple[jax.Array, ...]:  # fmt: skip
    time = logits.shape[1]
    padded = jnp.pad(logits, ((0, 0), (0, int(time == 0)), (0, 0)))
    targets = jnp.pad(targets, ((0, 0), (0, int(targets.shape[1] == 0))))
    loss, *grad = accelerator.losses_and_grads(
        padded, targets, frames, labels, weights, blank=options.blank, normalize=options.normalize,
        softmax=options.softmax, raises=options.raises, rounding=options.rounding, gradient=gradient, unroll=unroll,
    )  # fmt: skip
    return loss, *(part[:, :time] for part in grad)


def _call_back(*arguments: jax.Array, options: Options, gradient: bool) -> tuple[jax.Array, ...]:
    logits = arguments[0]
    shapes = [jax.ShapeDtypeStruct(logits.shape[:1], logits.dtype)]
    if gradient:
        shapes.append(jax.ShapeDtypeStruct(logits.shape, logits.dtype))
    call = buffer_callback(partial(_host, options), tuple(shapes), vmap_method="broadcast_all")
    return varying_alike(logits, *call(*arguments))[1:]  # a callback's results are not marked as varying


def _host(options: Options, _context: Any, results: tuple[Any, ...], *buffers: Any) -> None:
    """Write the results of a batch or, under vmap, of a batch of batches."""
    arrays = [np.asarray(buffer) for buffer in buffers]
    out = [np.asarray(result) for result in results]
    if out[0].size:
        with contract.rename_arguments(options.names):
            _write_rows(options, out, arrays)


def _write_rows(options: Options, out: list[np.ndarray], arrays: list[np.ndarray]) -> None:
    logits, targets, frames, labels, weights = arrays
    rows = out[0].size
    values = logits.reshape(rows, *logits.shape[-2:])
    batch = contract.validate(
        values.shape, targets.reshape(rows, targets.shape[-1]), frames.reshape(rows), labels.reshape(rows),
        blank=options.blank, values=options.unchecked,
    )  # fmt: skip
    if options.rounding is not None:
        contract.check_normalized(values, batch.logit_lengths, options.rounding)
    if len(out) > 1:
        pages.request_large_pages(out[1])
    infeasible: Infeasible = "raise" if options.raises else "inf"
    found = compute_rows(
        values, batch, normalize=options.normalize, softmax=options.softmax, infeasible=infeasible,
        gradient=len(out) > 1, out=out[1] if len(out) > 1 else None, weights=weights.reshape(rows),
    )  # fmt: skip
    out[0][...] = (found.losses * weights.reshape(rows)).reshape(out[0].shape)
