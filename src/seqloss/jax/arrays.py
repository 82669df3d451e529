"""Types of the arguments, their checks, and their conversion to JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from seqloss import contract, errors
from seqloss.contract import Infeasible
from seqloss.numpy.arrays import COMPUTED_IN, log_softmax_rounding
from seqloss.numpy.ctc.rows import compute_rows

FloatArray: TypeAlias = ArrayLike | Sequence[Sequence[Sequence[float]]]
"""Logits (batch, time, classes): a JAX array, traced or not, a NumPy array, or nested lists."""

IntegerArray: TypeAlias = ArrayLike | Sequence[int] | Sequence[Sequence[int]]
"""Labels or lengths: a JAX array, traced or not, a NumPy array, or (nested) lists."""

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, checked as far as their values are known.

    Attributes:
        logits: float32 or float64 (batch, time, classes).
        targets, logit_lengths, target_lengths: int32.
        blank: from 0.
        unchecked: some labels or lengths are not checked yet: they are traced, or stored on an accelerator.
        rounding: of the type of the logits, if their sums are not checked yet; None if they are.
        raises: infeasible="raise", and rows without a path have not been looked for yet.
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


def read_arguments(
    logits: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int, normalize: bool,
    infeasible: Infeasible, validate: bool,
) -> Arguments:  # fmt: skip
    """Check the arguments of a call: shapes and types always, values where they are known on the host.

    Raises:
        SeqLossError: see `seqloss.contract.validate` and `check_normalized`.
        InfeasibleError: infeasible="raise", and a row without a path is known.
    """
    scores = logits_to_jax(logits)
    given = [targets, logit_lengths, target_lengths]
    known = [host_value(value) for value in given]
    whole = all(value is not None for value in known)
    _refuse_concatenated(targets, scores.shape)
    seen = [
        None if value is None else contract.form_of(value.dtype, value.shape) if host is None else host
        for value, host in zip(given, known, strict=True)
    ]
    batch = contract.validate(scores.shape, *seen, blank=blank, values=validate and whole)
    slack = log_softmax_rounding(scores.dtype.name) if validate and not normalize else None
    raises, values = infeasible == "raise", scores.astype(COMPUTED_IN[scores.dtype.name])
    if raises and whole:
        contract.refuse_too_few_frames(scores.shape, batch)
    on_host = host_value(values) if raises or slack is not None else None
    if whole and on_host is not None:
        if slack is not None:
            contract.check_normalized(on_host, batch.logit_lengths, slack)
        if raises:
            compute_rows(on_host, batch, normalize=normalize, infeasible="raise", gradient=False)
        slack, raises = None, False
    checked = (batch.targets, batch.logit_lengths, batch.target_lengths)
    targets, logit_lengths, target_lengths = (
        narrow(array if host is not None else value) for value, host, array in zip(given, known, checked, strict=True)
    )
    values, *integers = varying_alike(values, targets, logit_lengths, target_lengths)
    return Arguments(values, integers[0], integers[1], integers[2], batch.blank, validate and not whole, slack, raises)


def logits_to_jax(logits: FloatArray) -> jax.Array:
    """Convert logits to a JAX array.

    Raises:
        DTypeError: the element type is not a supported floating type.
        ShapeError: the rows have different lengths.
    """
    if not isinstance(logits, jax.Array):
        try:
            logits = np.asarray(logits)
        except ValueError:
            raise errors.uneven_rows("logits", "logit_lengths") from None
    if logits.dtype.name not in COMPUTED_IN or not np.dtype(logits.dtype).isnative:
        raise errors.wrong_logits_dtype(logits.dtype)
    return jnp.asarray(logits)


def to_numpy(value: Any) -> Any:
    """Copy a concrete JAX array to the host; return anything else unchanged.

    Raises:
        TypeError: the array is traced and has no values.
    """
    return np.asarray(value) if isinstance(value, jax.Array) else value


def host_value(value: Any) -> Any:
    """Return a value that is on the host, () for None, and None for one that is traced or on another device."""
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
    except ValueError:  # rows of different lengths, which `contract.validate` refuses
        return
    if concatenated:
        raise errors.concatenated_targets(np.shape(targets))


def narrow(values: Any) -> jax.Array:
    """Convert to int32. Values out of range are clipped, so that no invalid label becomes a valid one."""
    if isinstance(values, jax.Array):
        if values.dtype.itemsize == 8 and values.dtype.kind == "i":
            values = jnp.maximum(values, INT32.min)
        if values.dtype.itemsize == 8 or values.dtype == jnp.uint32:
            values = jnp.minimum(values, values.dtype.type(INT32.max))
        return values.astype(jnp.int32)
    return jnp.asarray(np.clip(values, INT32.min, INT32.max).astype(np.int32))


def varying_alike(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Mark arrays under shard_map as varying over all mesh axes that any of them varies over."""
    axes = frozenset().union(*map(varying_axes, arrays))
    return tuple(_varying(array, tuple(axes - varying_axes(array))) for array in arrays)


def varying_axes(array: jax.Array) -> frozenset[str]:
    """Return the mesh axes over which an array varies under shard_map."""
    return frozenset(getattr(getattr(jax.typeof(array), "manual_axis_type", None), "varying", ()))


def _varying(array: jax.Array, axes: tuple[str, ...]) -> jax.Array:
    return lax.pcast(array, axes, to="varying") if axes else array
