"""Points and their labels: what the losses that compare the rows of a batch ask of these arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from seqloss import errors
from seqloss.contract.forms import Form

PointReduction = Literal["none", "sum", "mean"]

Shape = Sequence[Any]
"""A size is None where TensorFlow knows it only when the graph runs."""


def check_points(name: str, shape: Shape, axes: str = "(batch, classes)") -> None:
    """Raise `ShapeError` unless a shape has two axes, the second not empty."""
    if len(shape) != 2:
        hint = (
            f"Take {name}.reshape(len({name}), -1) if a row is one point, or {name}.reshape(-1, {name}.shape[-1]) "
            "without padding if a step is one."
        )
        raise errors.wrong_rank(name, shape, axes, hint if len(shape) > 2 else "")
    if shape[1] == 0:
        raise errors.wrong_rank(name, shape, axes, "There is nothing to compare in an empty axis.")


def check_point_labels(labels: Form, count: int | None, of: str) -> None:
    """Check the labels of points: any integers, one for each; their values mean nothing but the same or not.

    Args:
        labels: (count,).
        count: of the points, if it is known.
        of: the name of the points.

    Raises:
        ShapeError: there is not one for each point.
        DTypeError: they are no integers.
    """
    if len(labels.shape) != 1:
        hint = "Take labels.argmax(-1) of one-hot labels, labels[:, 0] of a column."
        raise errors.wrong_rank("labels", labels.shape, "(batch,)", hint if len(labels.shape) == 2 else "")
    if not labels.integers:
        raise errors.wrong_dtype("labels", labels.dtype, f"integers, one for each row of {of}")
    if None not in (count, labels.shape[0]) and labels.shape[0] != count:
        raise errors.ShapeError(f"labels: expected {count}, one for each row of {of}, found {labels.shape[0]}.")


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
