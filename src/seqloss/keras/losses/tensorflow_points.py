"""The soft nearest neighbour loss on TensorFlow tensors, eagerly, in a graph or under XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqloss import contract
from seqloss.contract import Form, Metric, PointReduction, form_of
from seqloss.formulas.soft_nearest_neighbor import scaling, whole
from seqloss.keras._compat import is_on_cpu
from seqloss.keras.ctc.shapes import with_rank
from seqloss.keras.namespace import TensorFlowNamespace
from seqloss.numpy.arrays import COMPUTED_IN
from seqloss.numpy.losses.labelled_points import read_labels

XP = TensorFlowNamespace()


@tf.autograph.experimental.do_not_convert
def soft_nearest_neighbor(
    points: Any,
    labels: Any,
    *,
    temperature: Any = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
) -> tf.Tensor:
    """See `seqloss.keras.soft_nearest_neighbor`."""
    points = tf.convert_to_tensor(points)
    labels = _read_labels(points, labels)
    computed = tf.as_dtype(COMPUTED_IN[points.dtype.name])
    heat = _read_temperature(temperature, computed)
    scaled = scaling.scale_points(XP, tf.cast(points, computed), heat, metric)
    count = XP.size(scaled, 0)
    losses = whole.point_losses(XP, scaled, labels, XP.arange(count), scaled, labels)
    if reduction == "none":
        return losses
    total = tf.reduce_sum(losses)
    return total if reduction == "sum" else total / tf.cast(_counted(labels), computed)


def _read_labels(points: tf.Tensor, labels: Any) -> tf.Tensor:
    """Check points and labels, and warn of points without a neighbour of their class where labels are known."""
    if not tf.is_tensor(labels):
        labels = read_labels(labels)
    elif is_on_cpu(labels):
        labels = labels.numpy()
    if points.shape.rank is None:
        points = with_rank("points", points, "points", "dimensions")
    if tf.is_tensor(labels) and labels.shape.rank is None:
        labels = with_rank("labels", labels, "points")
    known = not tf.is_tensor(labels)
    form = form_of(labels.dtype, labels.shape) if known else Form(tuple(labels.shape), *_kind(labels))
    contract.check_labelled_points(tuple(points.shape), points.dtype.name, form)
    if known:
        contract.warn_of_lone_points("soft_nearest_neighbor", labels)
        labels = np.unique(labels, return_inverse=True)[1]
    return tf.convert_to_tensor(labels)


def _kind(labels: tf.Tensor) -> tuple[str, bool]:
    return labels.dtype.name, labels.dtype.is_integer


def _read_temperature(temperature: Any, computed: tf.DType) -> tf.Tensor:
    if not tf.is_tensor(temperature) and not isinstance(temperature, tf.Variable | np.ndarray):
        contract.check_temperature(temperature)
        return tf.constant(float(temperature), computed)
    temperature = tf.convert_to_tensor(temperature)
    if temperature.shape.rank is not None:
        contract.check_temperature_shape(temperature.shape)
    if is_on_cpu(temperature):
        contract.check_temperature(float(temperature.numpy().reshape(())))
    return tf.reshape(tf.cast(temperature, computed), ())


def _counted(labels: tf.Tensor) -> tf.Tensor:
    """The number of points that have another one of their class, at least 1."""
    found = tf.sort(labels)
    equal = tf.equal(found[1:], found[:-1])
    edge = tf.zeros(tf.minimum(tf.shape(found)[:1], 1), tf.bool)
    has_neighbour = tf.logical_or(tf.concat([edge, equal], 0), tf.concat([equal, edge], 0))
    return tf.maximum(tf.reduce_sum(tf.cast(has_neighbour, tf.int32)), 1)
