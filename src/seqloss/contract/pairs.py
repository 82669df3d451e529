"""What the losses of pairs and triplets ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any, Literal, get_args

from seqloss import errors
from seqloss.contract.forms import Form
from seqloss.contract.reductions import check_reduction

PairReduction = Literal["none", "sum", "mean"]
ClassReduction = Literal["sum", "mean"]
Hinge = Literal["hard", "softplus"]
Negatives = Literal["random", "semi-hard", "hardest"]

Shape = Sequence[int | None]
"""None is a size that TensorFlow knows when the graph runs alone."""


def check_option(name: str, found: object, known: Any) -> None:
    """Raise `OptionError` for a value that is not one of a `Literal`."""
    if found not in get_args(known):
        raise errors.unknown_option(name, found, get_args(known))


def check_pair_reduction(reduction: str, denominator: float | None) -> None:
    """Raise `OptionError` for an unknown reduction, or for a denominator that does not fit it."""
    check_option("reduction", reduction, PairReduction)
    check_reduction(reduction, denominator)


def check_margin(margin: object) -> None:
    """Raise `OptionError` for a margin that is no finite number from 0 up."""
    if not isinstance(margin, Real) or isinstance(margin, bool) or not isfinite(margin) or margin < 0:
        raise errors.OptionError(f"margin: expected a finite number, 0 or more, found {margin!r}.")


def check_points(name: str, shape: Shape, axes: str = "(batch, classes)") -> None:
    """Raise `ShapeError` unless a shape has two axes, the second not empty."""
    if len(shape) != 2:
        raise errors.wrong_rank(name, shape, axes, f"Flatten each row with {name}.reshape(len({name}), -1).")
    if shape[1] == 0:
        raise errors.wrong_rank(name, shape, axes, "There is nothing to compare in an empty axis.")


def check_row_labels(labels: Form, batch: int | None) -> None:
    """Check the labels of the rows of a batch: any integers, (batch,); their values mean nothing but same or not.

    Raises:
        DTypeError: they are no integers.
        ShapeError: there is not one for each row.
    """
    if not labels.integers:
        raise errors.wrong_dtype("labels", labels.dtype, "integers")
    if len(labels.shape) != 1:
        raise errors.wrong_rank("labels", labels.shape, "(batch,)", "One label for each row; not one-hot.")
    if batch is not None and labels.shape[0] is not None and labels.shape[0] != batch:
        raise errors.ShapeError(f"labels: expected {batch}, one for each row of embeddings, found {labels.shape[0]}.")


def check_same_shapes(**shapes: Shape) -> None:
    """Raise `ShapeError` for the first argument whose shape is not that of the first one, or not (triplets, features).

    Args:
        shapes: by the arguments' names.
    """
    first, expected = next(iter(shapes.items()))
    for name, shape in shapes.items():
        check_points(name, shape, "(triplets, features)")
        if any(None not in sizes and sizes[0] != sizes[1] for sizes in zip(shape, expected, strict=True)):
            raise errors.ShapeError(f"{name}: expected shape {tuple(expected)}, that of {first}, found {tuple(shape)}.")
