"""TensorFlow's operations for the formulas of `seqloss.formulas`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

LAYOUT = {tf.float32: (tf.int32, 23, 127), tf.float64: (tf.int64, 52, 1023)}
"""By the type of a float: the integer type of this size, the first bit of the exponent, and the exponent's bias."""


class TensorFlowNamespace:
    """TensorFlow's `seqloss.formulas.namespace.Namespace`."""

    exp, log, log1p = staticmethod(tf.exp), staticmethod(tf.math.log), staticmethod(tf.math.log1p)
    sqrt, abs, softplus = staticmethod(tf.sqrt), staticmethod(tf.abs), staticmethod(tf.math.softplus)
    stop_gradient = staticmethod(tf.stop_gradient)
    round, maximum, minimum = staticmethod(tf.round), staticmethod(tf.maximum), staticmethod(tf.minimum)
    cumsum, transpose, concat = staticmethod(tf.cumsum), staticmethod(tf.transpose), staticmethod(tf.concat)

    def size(self, x: tf.Tensor, axis: int) -> Any:
        return tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]

    def arange(self, count: Any) -> tf.Tensor:
        return tf.range(count, dtype=tf.int32)

    def as_float(self, x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, like.dtype)

    def as_int(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, tf.int32)

    def where(self, condition: tf.Tensor, x: Any, y: Any) -> tf.Tensor:
        dtype = x.dtype if tf.is_tensor(x) else y.dtype  # a Python number takes the type of the tensor
        return tf.where(condition, tf.convert_to_tensor(x, dtype), tf.convert_to_tensor(y, dtype))

    def flip(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.reverse(x, [axis])

    def max(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.reduce_max(x, axis, keepdims=True)

    def argmax(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.expand_dims(tf.argmax(x, axis, output_type=tf.int32), axis)

    def sum(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.reduce_sum(x, axis, keepdims=True)

    def matmul(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        wide = tf.float64 if tf.config.get_visible_devices("GPU") else x.dtype  # see `sum_by_class`
        return tf.cast(tf.matmul(tf.cast(x, wide), tf.cast(y, wide)), x.dtype)

    def take(self, x: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(x, indices, axis=2, batch_dims=1)

    def pick(self, x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.gather(x, labels, axis=2, batch_dims=2)

    def without_padding(self, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        return tf.where(real[:, :, None], x, tf.zeros([], x.dtype))

    def sum_by_class(self, x: tf.Tensor, labels: tf.Tensor, classes: Any) -> tf.Tensor:
        # by default, GPUs multiply float32 matrices in TF32, which has a mantissa of ten bits
        wide = tf.float64 if tf.config.get_visible_devices("GPU") else x.dtype
        return tf.cast(tf.matmul(tf.cast(x, wide), tf.one_hot(labels, classes, dtype=wide)), x.dtype)

    def log_softmax(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.nn.log_softmax(x, axis)

    def argsort(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return tf.argsort(x, axis, stable=True)

    def searchsorted(self, rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return tf.searchsorted(rows, values)

    def digits(self, x: tf.Tensor) -> tf.Tensor:
        kind, start, bias = LAYOUT[x.dtype]
        bits = tf.bitwise.right_shift(tf.bitcast(x, kind), tf.constant(start, kind))
        return tf.cast(bits - bias, tf.int32)

    def scale(self, x: tf.Tensor, digits: tf.Tensor) -> tf.Tensor:
        kind, start, bias = LAYOUT[x.dtype]
        bits = tf.bitwise.left_shift(tf.cast(tf.maximum(digits, -126), kind) + bias, tf.constant(start, kind))
        return x * self.where(digits < -126, 0.0, tf.bitcast(bits, x.dtype))

    def shift_right(self, x: tf.Tensor, count: int) -> tf.Tensor:
        return tf.bitwise.right_shift(x, tf.constant(count, x.dtype))

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        """Loop over the first axis, so that XLA can compile it; the results have the shapes of the first step."""
        columns: Sequence[tf.Tensor] = tf.nest.flatten(xs)
        count = self.size(columns[0], 0)

        def at(t: tf.Tensor) -> Any:
            return tf.nest.pack_sequence_as(xs, [column[t] for column in columns])

        _, outline = step(carry, at(tf.constant(0)))  # only its structure is used
        collected = [
            tf.TensorArray(part.dtype, size=count, element_shape=part.shape) for part in tf.nest.flatten(outline)
        ]

        def body(t: tf.Tensor, carry: Any, collected: list[Any]) -> tuple[Any, ...]:
            carry, y = step(carry, at(t))
            parts = tf.nest.flatten(y)
            return t + 1, carry, [array.write(t, part) for array, part in zip(collected, parts, strict=True)]

        _, carry, collected = tf.while_loop(
            lambda t, *_: t < count, body, (tf.constant(0), carry, collected), maximum_iterations=count
        )
        return carry, tf.nest.pack_sequence_as(outline, [array.stack() for array in collected])
