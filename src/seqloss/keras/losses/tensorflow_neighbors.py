"""The soft nearest neighbour loss on TensorFlow tensors, eagerly, in a graph or under XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqloss import contract
from seqloss.contract import Metric, PointReduction
from seqloss.formulas.soft_nearest_neighbor import scaling, whole
from seqloss.keras.losses.tensorflow_arrays import as_labels, host_values, read_points, reduce_losses
from seqloss.keras.namespace import TensorFlowNamespace

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
    values, _ = read_points("points", points, "(points, dimensions)")
    classes = as_labels(labels, values, "points")
    heat = _read_temperature(temperature, values.dtype)
    known = host_values(classes)
    if known is not None:
        contract.warn_of_lone_points("soft_nearest_neighbor", known)
    scaled = scaling.scale_points(XP, values, heat, metric)
    losses = whole.point_losses(XP, scaled, classes, XP.arange(XP.size(scaled, 0)), scaled, classes)
    return reduce_losses(losses, tf.cast(_counted(classes), values.dtype), reduction, None)


def _read_temperature(temperature: Any, computed: tf.DType) -> tf.Tensor:
    if not tf.is_tensor(temperature) and not isinstance(temperature, tf.Variable | np.ndarray):
        contract.check_temperature(temperature)
        return tf.constant(float(temperature), computed)
    temperature = tf.convert_to_tensor(temperature)
    if temperature.shape.rank is not None:
        contract.check_temperature_shape(temperature.shape)
    known = host_values(temperature)
    if known is not None:
        contract.check_temperature(float(known.reshape(())))
    return tf.reshape(tf.cast(temperature, computed), ())


def _counted(labels: tf.Tensor) -> tf.Tensor:
    """The number of points that have another one of their class, at least 1."""
    found = tf.sort(labels)
    equal = tf.equal(found[1:], found[:-1])
    edge = tf.zeros(tf.minimum(tf.shape(found)[:1], 1), tf.bool)
    has_neighbour = tf.logical_or(tf.concat([edge, equal], 0), tf.concat([equal, edge], 0))
    return tf.maximum(tf.reduce_sum(tf.cast(has_neighbour, tf.int32)), 1)
