"""Types of the arguments and results of the Keras functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias


class Tensor(Protocol):
    """A torch.Tensor, jax.Array or tf.Tensor, a NumPy array or a KerasTensor: what has a shape and an element type.

    A protocol, because Keras and TensorFlow have no type annotations, and one of the backends is enough.
    """

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...


FloatArray: TypeAlias = Tensor | Sequence[Sequence[Sequence[float]]]
"""Logits or probabilities (batch, time, classes): a tensor, a NumPy array, or nested lists."""

IntegerArray: TypeAlias = Tensor | Sequence[int] | Sequence[Sequence[int]]
"""Labels or lengths: a tensor, a NumPy array, or (nested) lists."""

Points: TypeAlias = Tensor | Sequence[Sequence[float]]
"""Rows of numbers (batch, features): a tensor, a NumPy array, or nested lists."""

Labels: TypeAlias = Tensor | Sequence[int]
"""One integer for each row (batch,): a tensor, a NumPy array, or a list."""

Scalar: TypeAlias = Tensor | float
"""A number, or a tensor or variable that holds one."""

RowWeights: TypeAlias = Tensor | Sequence[float] | float
"""Weights of the rows of a batch: (batch,) or (batch, 1), or one number for all."""

BackendTensor: TypeAlias = Any
"""A result. Its type depends on the backend, which Keras chooses when it is imported: no type checker knows it."""
