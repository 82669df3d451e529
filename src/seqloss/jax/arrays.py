"""What a call is given, as JAX arrays: what every function behind this frontend begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from seqloss import contract, errors
from seqloss.contract import Infeasible
from seqloss.errors import wrong_dtype
from seqloss.numpy.arrays import COMPUTED_IN, rounding
from seqloss.numpy.ctc.rows import compute

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Arguments:
    """Checked as far as their values are known.

    Attributes:
        logits: float32 or float64 (batch, time, classes).
        targets, logit_lengths, target_lengths: int32.
        blank: from 0.
        unchecked: some labels or lengths are traced, or wait on an accelerator: nobody has looked at them.
        rounding: for scores that nobody has looked at, of the half type that they came in; None where it is done.
        raises: a row that no path fits is an error, and nobody has looked for one.
    """

    logits: jax.Array
    targets: jax.Array
    logit_lengths: jax.Array
    target_lengths: jax.Array
    blank: int
    unchecked: bool
    rounding: float | None
    raises: bool

    @property
    def arrays(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        return self.logits, self.targets, self.logit_lengths, self.target_lengths


def read(
    logits: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int, normalize: bool,
    infeasible: Infeasible, validate: bool,
) -> Arguments:  # fmt: skip
    """Hold a call against the contract: forms always, values where they are known on the host.

    Raises:
        as `seqloss.contract.validate` and `check_normalized`; InfeasibleError.
    """
    scores = floating(logits)
    given = [targets, logit_lengths, target_lengths]
    known = [host_value(value) for value in given]
    whole = all(value is not None for value in known)
    _refuse_concatenated(targets, scores.shape)
    seen = [
        None if value is None else contract.form_of(value.dtype, value.shape) if host is None else host
        for value, host in zip(given, known, strict=True)
    ]
    batch = contract.validate(scores.shape, *seen, blank=blank, values=validate and whole)
    slack = rounding(scores.dtype.name) if validate and not normalize else None
    raises, values = infeasible == "raise", scores.astype(COMPUTED_IN[scores.dtype.name])
    if raises and whole:
        contract.refuse_too_few_frames(scores.shape, batch)
    on_host = host_value(values) if raises or slack is not None else None
    if whole and on_host is not None:
        if slack is not None:
            contract.check_normalized(on_host, batch.logit_lengths, slack)
        if raises:
            compute(on_host, batch, normalize=normalize, infeasible="raise", gradient=False)
        slack, raises = None, False
    checked = (batch.targets, batch.logit_lengths, batch.target_lengths)
    targets, logit_lengths, target_lengths = (
        _narrowed(array if host is not None else value)
        for value, host, array in zip(given, known, checked, strict=True)
    )
    values, *integers = varying_alike(values, targets, logit_lengths, target_lengths)
    return Arguments(values, integers[0], integers[1], integers[2], batch.blank, validate and not whole, slack, raises)


def floating(logits: Any) -> jax.Array:
    """Logits as a JAX array of a type that seqloss computes with.

    Raises:
        DTypeError: they are none.
        ShapeError: rows of uneven length.
    """
    if not isinstance(logits, jax.Array):
        try:
            logits = np.asarray(logits)
        except ValueError:
            raise errors.ShapeError(
                "logits: found rows of uneven length; pad them to one length and give logit_lengths."
            ) from None
    if logits.dtype.name not in COMPUTED_IN or not np.dtype(logits.dtype).isnative:
        raise wrong_dtype("logits", logits.dtype, "float16, bfloat16, float32 or float64")
    return jnp.asarray(logits)


def to_numpy(value: Any) -> Any:
    """A concrete JAX array on the host; anything else as it is.

    Raises:
        TypeError: the array is traced, so that there is nothing to look at yet.
    """
    return np.asarray(value) if isinstance(value, jax.Array) else value


def host_value(value: Any) -> Any:
    """The value itself where the host has it, (0,) for None; None for what is traced or lies elsewhere."""
    if value is None:
        return ()
    if not isinstance(value, jax.Array):
        return value
    if isinstance(value, jax.core.Tracer) or not value.is_fully_addressable:
        return None
    on_host = all(device.platform == "cpu" for device in value.devices())
    return np.asarray(value) if on_host else None


def _refuse_concatenated(targets: Any, shape: tuple[int, ...]) -> None:
    try:
        concatenated = np.ndim(targets) == 1 and len(shape) == 3
    except ValueError:  # rows of uneven length: the contract has words for them
        return
    if concatenated:
        raise errors.wrong_rank(
            "targets",
            np.shape(targets),
            "(batch, labels)",
            "Shapes are static here: pad each row to one length, and give target_lengths.",
        )


def _narrowed(values: Any) -> jax.Array:
    """int32; what does not fit becomes the farthest that does, so that no wrong label turns into a right one."""
    if isinstance(values, jax.Array):
        if values.dtype.itemsize == 8 and values.dtype.kind == "i":
            values = jnp.maximum(values, INT32.min)
        if values.dtype.itemsize == 8 or values.dtype == jnp.uint32:
            values = jnp.minimum(values, values.dtype.type(INT32.max))
        return values.astype(jnp.int32)
    return jnp.asarray(np.clip(values, INT32.min, INT32.max).astype(np.int32))


def varying_alike(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Under shard_map, arrays that vary over the same axes of the mesh: over all that any of them varies over."""
    axes = frozenset().union(*map(varying_axes, arrays))
    return tuple(_varying(array, tuple(axes - varying_axes(array))) for array in arrays)


def varying_axes(array: jax.Array) -> frozenset[str]:
    """The axes of the mesh over which shard_map knows an array to vary."""
    return frozenset(getattr(getattr(jax.typeof(array), "manual_axis_type", None), "varying", ()))


def _varying(array: jax.Array, axes: tuple[str, ...]) -> jax.Array:
    return lax.pcast(array, axes, to="varying") if axes else array
