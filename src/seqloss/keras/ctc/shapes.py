"""Shapes that TensorFlow may not know before a graph runs: the size of any axis, or the rank.

Torch and JAX know all sizes when they trace. Under XLA (jit_compile=True) TensorFlow may trace a graph with unknown
sizes too. XLA then compiles it once for each combination of sizes.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqloss.errors import wrong_rank
from seqloss.keras._compat import traced_for_xla


def rank(x: Any) -> int | None:
    """Return the number of axes; None if TensorFlow does not know it yet."""
    shape = x.shape
    return shape.rank if hasattr(shape, "rank") else len(shape)


def size(x: Any, axis: int) -> Any:
    """Return the size of an axis: a number, or a scalar tensor if TensorFlow knows it at run time only."""
    return x.shape[axis] if x.shape[axis] is not None else ops.shape(x)[axis]


def with_rank(name: str, x: Any, *axes: str) -> Any:
    """Check the rank of a tensor, and return the tensor with a rank that TensorFlow knows.

    Args:
        name: of the argument.
        x: a tensor or an array.
        axes: the names of its axes.

    Raises:
        ShapeError: the rank is wrong. If the rank is known at run time only, TensorFlow raises its own error with the
            same text.
    """
    expected = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    found = rank(x)
    if found is None:
        return _check_rank_at_run_time(x, len(axes), f"{name}: expected shape {expected}")
    if found != len(axes):
        raise wrong_rank(name, x.shape, expected)
    return x


def _check_rank_at_run_time(x: Any, count: int, message: str) -> Any:
    """Return a TensorFlow tensor of unknown rank with this rank; any other rank is an error when the graph runs."""
    import tensorflow as tf

    unknown_sizes = [None] * count
    if traced_for_xla():  # XLA drops assertions, but checks `ensure_shape` while it compiles
        return tf.ensure_shape(x, unknown_sizes)
    with tf.control_dependencies([tf.debugging.assert_rank(x, count, message)]):
        checked = tf.identity(x)
    checked.set_shape(unknown_sizes)  # `ensure_shape` would check again, and might raise first, without the message
    return checked


def as_column(x: Any, rows: Any) -> Any:
    """Return (batch, 1) or (batch,) as (batch,); any other size is an error, at run time at the latest."""
    return x if rank(x) == 1 else ops.reshape(x, (rows,))


def is_column(x: Any) -> bool:
    """Whether a tensor can be (batch,) or (batch, 1), as far as its shape is known."""
    return rank(x) in (None, 1) or (rank(x) == 2 and x.shape[1] in (None, 1))


def is_half(x: Any) -> bool:
    return keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16")
