"""Losses of single steps on TensorFlow tensors, eagerly, in a graph or under XLA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from seqloss import contract
from seqloss.contract import Reduction, StepWeight
from seqloss.formulas import masked
from seqloss.formulas.masked import Steps, find_steps
from seqloss.keras.ctc.shapes import with_rank
from seqloss.keras.ctc.tensorflow import narrow
from seqloss.keras.losses.tensorflow_arrays import host_values, read_floats
from seqloss.keras.namespace import TensorFlowNamespace

XP = TensorFlowNamespace()


@tf.autograph.experimental.do_not_convert
def masked_cross_entropy(
    logits: Any,
    targets: Any,
    lengths: Any = None,
    *,
    mask: Any = None,
    padding: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> tf.Tensor:
    """See `seqloss.keras.masked_cross_entropy`."""
    contract.check_reduction(reduction, denominator)
    x = _floats("logits", logits, "batch", "time", "classes")
    labels = _tensor("targets", targets, "batch", "time")
    known = _seen("targets", labels if tf.is_tensor(targets) else targets)
    lengths, mask = _rows(lengths, mask)
    contract.check_classes(
        tuple(x.shape), known, _seen("lengths", lengths), _seen("mask", mask), padding, label_smoothing
    )
    steps = _steps(x, lengths, mask)
    losses, steps = masked.cross_entropy(XP, x, narrow(labels), steps, padding, label_smoothing)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)


def masked_squared_error(predictions: Any, targets: Any, lengths: Any = None, **options: Any) -> tf.Tensor:
    """See `seqloss.keras.masked_squared_error`."""
    return _error(masked.squared_error, predictions, targets, lengths, **options)


def masked_absolute_error(predictions: Any, targets: Any, lengths: Any = None, **options: Any) -> tf.Tensor:
    """See `seqloss.keras.masked_absolute_error`."""
    return _error(masked.absolute_error, predictions, targets, lengths, **options)


@tf.autograph.experimental.do_not_convert
def time_weighted(
    per_step: Any,
    lengths: Any = None,
    *,
    mask: Any = None,
    weight: StepWeight = "sqrt",
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> tf.Tensor:
    """See `seqloss.keras.time_weighted`."""
    contract.check_reduction(reduction, denominator)
    contract.check_step_weight(weight)
    x = _floats("per_step", per_step, "batch", "time")
    lengths, mask = _rows(lengths, mask)
    contract.check_steps("per_step", tuple(x.shape), _seen("lengths", lengths), _seen("mask", mask))
    steps = _steps(x, lengths, mask)
    return masked.reduce_steps(XP, masked.weigh_steps(XP, x, steps, weight), steps, reduction, denominator)


@tf.autograph.experimental.do_not_convert
def _error(
    formula: Callable[..., Any],
    predictions: Any,
    targets: Any,
    lengths: Any,
    mask: Any = None,
    padding: float | None = None,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> tf.Tensor:
    contract.check_reduction(reduction, denominator)
    x = _floats("predictions", predictions)
    y = tf.convert_to_tensor(targets if tf.is_tensor(targets) else contract.as_step_array("targets", targets))
    lengths, mask = _rows(lengths, mask)
    form = contract.form_of(y.dtype.as_numpy_dtype, tuple(y.shape))
    contract.check_numbers(tuple(x.shape), form, _seen("lengths", lengths), _seen("mask", mask), padding)
    losses, steps = formula(XP, x, tf.cast(y, x.dtype), _steps(x, lengths, mask), padding)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)


def _floats(name: str, values: Any, *axes: str) -> tf.Tensor:
    """Scores in the type that they are computed in, of a rank that is known if the axes are named."""
    x, _ = read_floats(name, values, contract.STEPS_GIVEN_BY)
    return with_rank(name, x, *axes) if axes else x


def _tensor(name: str, values: Any, *axes: str) -> tf.Tensor:
    """Integers or booleans as a tensor of a rank that is known."""
    x = tf.convert_to_tensor(values if tf.is_tensor(values) else contract.as_step_array(name, values))
    return with_rank(name, x, *axes) if x.shape.rank is None else x


def _rows(lengths: Any, mask: Any) -> tuple[Any, Any]:
    """Lengths and a mask of a rank that is known where they are tensors."""
    lengths = _tensor("lengths", lengths, "batch") if tf.is_tensor(lengths) else lengths
    return lengths, _tensor("mask", mask, "batch", "time") if tf.is_tensor(mask) else mask


def _seen(name: str, values: Any) -> Any:
    """An argument as the contract checks it: an array, a `Form` if its values are not on the host, or None."""
    if values is None:
        return None
    if not tf.is_tensor(values):
        return contract.as_step_array(name, values)
    known = host_values(values)
    return contract.form_of(values.dtype.as_numpy_dtype, tuple(values.shape)) if known is None else known


def _steps(x: tf.Tensor, lengths: Any, mask: Any) -> Steps:
    counts = None if lengths is None else narrow(_tensor("lengths", lengths, "batch"))
    return find_steps(XP, x, counts, None if mask is None else tf.cast(_tensor("mask", mask, "batch", "time"), tf.bool))
