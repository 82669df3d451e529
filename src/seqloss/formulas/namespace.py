"""The operations that a framework has to offer; everything else is operators, comparisons and indexing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Array = Any


class Namespace(Protocol):
    """One framework's arrays, float32 or float64 and int32. Axes count from 0; broadcasting is NumPy's."""

    def size(self, x: Array, axis: int) -> Any:
        """Entries along an axis: a number, or a scalar where the framework knows it at run time alone."""

    def arange(self, count: Any) -> Array:
        """0, 1, ... as int32 (count,)."""

    def as_float(self, x: Array, like: Array) -> Array:
        """x in the type of `like`."""

    def as_int(self, x: Array) -> Array:
        """x as int32."""

    def where(self, condition: Array, x: Any, y: Any) -> Array: ...

    def maximum(self, x: Array, y: Any) -> Array: ...

    def minimum(self, x: Array, y: Any) -> Array: ...

    def exp(self, x: Array) -> Array: ...

    def log(self, x: Array) -> Array: ...

    def log1p(self, x: Array) -> Array: ...

    def sqrt(self, x: Array) -> Array: ...

    def softplus(self, x: Array) -> Array:
        """log(1 + exp(x)), with right derivatives for every x."""

    def abs(self, x: Array) -> Array: ...

    def round(self, x: Array) -> Array: ...

    def max(self, x: Array, axis: int) -> Array:
        """The largest along an axis, which keeps size 1."""

    def argmax(self, x: Array, axis: int) -> Array:
        """The first position of the largest along an axis, which keeps size 1; int32."""

    def sum(self, x: Array, axis: int) -> Array:
        """The sum along an axis, which keeps size 1."""

    def log_softmax(self, x: Array, axis: int) -> Array: ...

    def cumsum(self, x: Array, axis: int) -> Array: ...

    def concat(self, arrays: Sequence[Array], axis: int) -> Array: ...

    def flip(self, x: Array, axis: int) -> Array: ...

    def transpose(self, x: Array, axes: Sequence[int]) -> Array: ...

    def matmul(self, x: Array, y: Array) -> Array:
        """The product of matrices, as precise as their type."""

    def stop_gradient(self, x: Array) -> Array:
        """x as a constant for every derivative."""

    def take(self, x: Array, indices: Array) -> Array:
        """(batch, time, n), (batch, k) -> (batch, time, k): entries of the last axis, for each row its own."""

    def pick(self, x: Array, labels: Array) -> Array:
        """(batch, time, n), (batch, time) -> (batch, time): one entry of the last axis for each step."""

    def without_padding(self, x: Array, real: Array) -> Array:
        """(batch, time, n), bool (batch, time): x, through which no derivative flows into steps that are not real.

        What stands in these steps in the result is 0 or whatever stood there; use it for nothing but themselves.
        """

    def sum_by_class(self, x: Array, labels: Array, classes: Any) -> Array:
        """(batch, time, n), (batch, n) -> (batch, time, classes): the sum over each class' labels, as precise as x."""

    def argsort(self, x: Array, axis: int) -> Array:
        """The positions that sort an axis from small to large, equal entries in their order; int32."""

    def searchsorted(self, rows: Array, values: Array) -> Array:
        """(batch, n) sorted, (batch, k) -> (batch, k): how many entries of a row are below each value; int32."""

    def digits(self, x: Array) -> Array:
        """floor(log2(x)) of normal numbers above 0, int32; whatever for others."""

    def scale(self, x: Array, digits: Array) -> Array:
        """x * 2^digits for int32 digits up to 127; exactly 0 for digits under -126."""

    def shift_right(self, x: Array, count: int) -> Array:
        """int32 over 2^count, rounded down."""

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        """carry, y = step(carry, x) along the first axis of each array in the tuple xs: the last carry, and every y."""
