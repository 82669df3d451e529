"""Sizes that TensorFlow may not know before a graph runs: any axis, or even the rank.

Torch and JAX know every size while they trace. Under XLA (jit_compile=True) a graph may be traced with unknown sizes,
too; XLA then compiles it once for each combination of sizes that it meets.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from seqloss.errors import wrong_rank


def rank(x: Any) -> int | None:
    """The number of axes; None where TensorFlow does not know it yet."""
    shape = x.shape
    return shape.rank if hasattr(shape, "rank") else len(shape)


def size(x: Any, axis: int) -> Any:
    """Entries along an axis: a number, or a scalar tensor where TensorFlow knows it at run time alone."""
    return x.shape[axis] if x.shape[axis] is not None else ops.shape(x)[axis]


def with_rank(name: str, x: Any, *axes: str) -> Any:
    """The same tensor, of a rank that TensorFlow knows from here on.

    Args:
        name: of the argument.
        x: a tensor or an array.
        axes: the names of its axes.

    Raises:
        ShapeError: another rank; where that is known at run time alone, TensorFlow's own error with the same text.
    """
    expected = f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    found = rank(x)
    if found is None:
        from seqloss.keras.ctc.tensorflow import ensure_rank

        return ensure_rank(x, len(axes), f"{name}: expected shape {expected}")
    if found != len(axes):
        raise wrong_rank(name, x.shape, expected)
    return x


def as_column(x: Any, rows: Any) -> Any:
    """(batch, 1) as (batch,), and (batch,) as it is; any other size is an error, at the latest when the graph runs."""
    return x if rank(x) == 1 else ops.reshape(x, (rows,))


def is_column(x: Any) -> bool:
    """Whether a tensor can be (batch,) or (batch, 1), as far as its shape is known."""
    return rank(x) in (None, 1) or (rank(x) == 2 and x.shape[1] in (None, 1))


def is_half(x: Any) -> bool:
    return keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16")
