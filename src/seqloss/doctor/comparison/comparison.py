"""`compare`: compare all tensors of two implementations, and find the first divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from seqloss.doctor.comparison.arrays import collect_arrays
from seqloss.doctor.comparison.causes import likely_cause
from seqloss.doctor.comparison.matching import is_gradient, match_names
from seqloss.doctor.comparison.pair import Pair
from seqloss.doctor.comparison.tensor_difference import TensorDifference, measure_difference
from seqloss.errors import OptionError


def compare(
    first: Callable[..., Any],
    second: Callable[..., Any],
    *batch: Any,
    rtol: float | None = None,
    atol: float = 0.0,
    names: tuple[str, str] = ("first", "second"),
) -> Comparison:
    """Compare two implementations of a model, tensor by tensor.

    The order is that of the computation: outputs, the loss, then the gradients from the last layer to the first. The
    first divergence is where to look; later ones can follow from it. If differences grow slowly from layer to layer
    until one exceeds its tolerance, the cause is rounding: set `rtol`.

    Tensors are matched by name if both implementations return the same names. Otherwise, if their numbers are equal,
    they are matched in order, unless that would match a common name with another. Otherwise the common names are
    matched, and the other tensors are not compared. Gradients are matched separately.

    Args:
        first: called with the batch. Returns an ordered mapping of names to arrays of NumPy or any framework: outputs
            of layers in order, "loss", and `"gradient.<name>"`. Nested mappings and lists are flattened, with dots in
            the names. A tuple or list of arrays has the names "0", "1" and so on, a single array the name "output".
        second: the same for the other implementation.
        batch: the arguments of both. NumPy arrays are copied for each.
        rtol: tolerance, relative to the largest entry of a tensor. None for that of the less precise type: 2^-46 for
            float64, 2^-17 for float32, 2^-8 for float16, 2^-5 for bfloat16, 0 for integers.
        atol: absolute tolerance, added to the relative one.
        names: of the two implementations.

    Returns:
        a `Comparison`: `same`, `divergence`, `tensors`. Print it to see all of it.

    Raises:
        ShapeError: there is no tensor in common; a list has rows of different lengths.
        DTypeError: a value is not an array of real numbers.
        OptionError: a tolerance is negative or NaN; `names` are not two different names; an implementation is not a
            function, or returns two tensors of the same name.

    Example:
        >>> import numpy as np
        >>> from seqloss.doctor import compare
        >>> rows = np.arange(6.0).reshape(2, 3)
        >>> print(compare(lambda x: {"total": x.sum(1)}, lambda x: {"total": x.mean(1)}, rows))
        differs  total  (2,) float64  max difference 8, tolerance 1.7e-13
        first and second diverge at total, tensor 1 of 1
          largest difference at [1]: first 12, second 4; absolute 8, relative 0.67
          likely cause: first is 3 times second; 3 is the size of axis 1 of argument 0: sum versus mean?
    """
    _check(first, second, rtol, atol, names)
    arrays = collect_arrays(first, names[0], batch), collect_arrays(second, names[1], batch)
    gradients = [array.largest for side in arrays for name, array in side.items() if is_gradient(name)]
    tensors: list[TensorDifference] = []
    for n, m in match_names(*arrays, names):
        largest_gradient = max(gradients) if is_gradient(n) else 0.0
        pair = Pair(arrays[0][n], arrays[1][m], names, rtol, atol, largest_gradient, batch)
        difference = measure_difference(pair, (n, m))
        if not difference.same and all(earlier.same for earlier in tensors):
            difference = replace(difference, hint=likely_cause(pair))
        tensors.append(difference)
    matched = [{tensor.names[side] for tensor in tensors} for side in (0, 1)]
    unmatched = (
        tuple(name for name in arrays[0] if name not in matched[0]),
        tuple(name for name in arrays[1] if name not in matched[1]),
    )
    return Comparison(names, tuple(tensors), unmatched)


def _check(first: Any, second: Any, rtol: float | None, atol: float, names: tuple[str, str]) -> None:
    for option, value in (("rtol", rtol), ("atol", atol)):
        if value is not None and not value >= 0:
            raise OptionError(f"{option}: found {value}, expected a number >= 0.")
    if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
        raise OptionError(f"names: found {names!r}, expected two different names, such as ('torch', 'jax').")
    for name, side in zip(names, (first, second), strict=True):
        if not callable(side):
            raise OptionError(
                f"{name}: expected a function of the batch, found {type(side).__name__}; "
                "for existing arrays pass lambda: arrays, and no batch."
            )


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`. Printed, one line per tensor, then the first divergence.

    Attributes:
        names: of the two implementations.
        tensors: the compared tensors, in the order of the computation.
        unmatched: names that only the first, or only the second implementation returns.

    Example:
        >>> from seqloss.doctor import compare
        >>> found = compare(lambda: {"a": 1.0, "b": 2.0}, lambda: {"a": 1.0, "b": -2.0})
        >>> found.same, found.divergence.name, found.divergence.hint
        (False, 'b', 'equal up to sign: log-likelihood versus loss?')
    """

    names: tuple[str, str]
    tensors: tuple[TensorDifference, ...]
    unmatched: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def same(self) -> bool:
        """Whether all tensors agree."""
        return self.divergence is None

    @property
    def divergence(self) -> TensorDifference | None:
        """The first tensor that differs, or None."""
        return next((tensor for tensor in self.tensors if not tensor.same), None)

    def __str__(self) -> str:
        width = max(len(tensor.name) for tensor in self.tensors)
        lines = [tensor.format_line(width) for tensor in self.tensors]
        for side, unmatched in zip(self.names, self.unmatched, strict=True):
            lines += [f"not compared, only in {side}: {name}" for name in unmatched]
        return "\n".join([*lines, *self._verdict()])

    def _verdict(self) -> Iterator[str]:
        first, second = self.names
        tensor, count = self.divergence, len(self.tensors)
        if tensor is None:
            yield f"{first} and {second} agree in all {count} tensors"
            return
        yield f"{first} and {second} diverge at {tensor.name}, tensor {self.tensors.index(tensor) + 1} of {count}"
        if tensor.values is None:
            yield f"  shapes: {first} {tensor.shapes[0]}, {second} {tensor.shapes[1]}"
        else:
            a, b = (f"{value:.6g}" for value in tensor.values)
            size = f"absolute {tensor.absolute:.2g}, relative {tensor.relative:.2g}"
            yield f"  largest difference at {list(tensor.index or ())}: {first} {a}, {second} {b}; {size}"
        yield f"  likely cause: {tensor.hint or 'not recognised; inspect the code that computes this tensor'}"
