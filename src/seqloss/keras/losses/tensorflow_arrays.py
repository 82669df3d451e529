"""Floats and labels as TensorFlow tensors, and the reduction of the losses of points, pairs and triplets."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqloss import contract
from seqloss.contract import Form
from seqloss.errors import wrong_dtype
from seqloss.keras._compat import is_on_cpu
from seqloss.keras.ctc.shapes import with_rank
from seqloss.numpy.arrays import COMPUTED_IN
from seqloss.numpy.losses.points import read_labels


def read_floats(name: str, values: Any, lengths: str = "") -> tuple[tf.Tensor, str]:
    """A tensor of float32 or float64, and the name of its original type.

    Args:
        name: of the argument.
        values: a tensor of any rank, an array, or nested lists.
        lengths: see `contract.as_array`.

    Raises:
        DTypeError: the element type is not a supported floating type.
    """
    x: Any = values if tf.is_tensor(values) else contract.as_array(name, values, lengths)
    kind = np.dtype(x.dtype.as_numpy_dtype if tf.is_tensor(x) else x.dtype).name
    if kind not in COMPUTED_IN:
        raise wrong_dtype(name, kind, "float16, bfloat16, float32 or float64")
    return tf.cast(tf.convert_to_tensor(x), COMPUTED_IN[kind].name), kind


def read_points(name: str, values: Any, axes: str) -> tuple[tf.Tensor, str]:
    """`read_floats` of an argument with two axes, as in "(batch, classes)"; see `contract.check_points`."""
    x, kind = read_floats(name, values)
    if x.shape.rank is None:
        x = with_rank(name, x, *axes.strip("()").split(", "))
    contract.check_points(name, x.shape, axes)
    return x, kind


def as_labels(labels: Any, points: tf.Tensor, of: str = "embeddings") -> tf.Tensor:
    """Labels as an int64 tensor, one for each point; see `contract.check_point_labels`."""
    if not tf.is_tensor(labels):
        labels = tf.convert_to_tensor(read_labels(labels, points.shape[0], of).astype(np.int64))
    if labels.shape.rank is None:
        labels = with_rank("labels", labels, "batch")
    form = Form(tuple(labels.shape), labels.dtype.name, labels.dtype.is_integer)
    contract.check_point_labels(form, points.shape[0], of)
    return tf.cast(labels, tf.int64)


def host_values(x: tf.Tensor) -> np.ndarray | None:
    """The values of a tensor if they can be read now, without waiting for a device; else None."""
    return x.numpy() if is_on_cpu(x) else None


def reduce_losses(losses: tf.Tensor, count: tf.Tensor, reduction: str, denominator: float | None) -> tf.Tensor:
    """Reduce losses of points, pairs or triplets; `count` is what the mean divides by, at least 1."""
    if reduction == "none":
        return losses
    return tf.reduce_sum(losses) / (count if reduction == "mean" else denominator or 1.0)
