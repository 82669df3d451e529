"""Arguments of the losses that compare the points of a batch with each other: points, their labels, a temperature."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from seqloss import errors
from seqloss.contract.forms import Form

Metric = Literal["euclidean", "cosine"]
PointReduction = Literal["none", "sum", "mean"]

FLOATS = ("float16", "bfloat16", "float32", "float64")

LARGEST_NORM = 1024.0
"""Up to this squared norm of the scaled points, float32 computes scores to 2^-12: see `needs_float64`."""


def check_point_options(metric: str, reduction: str) -> None:
    """Raise `OptionError` for an unknown metric or reduction."""
    for name, found, known in (
        ("metric", metric, get_args(Metric)),
        ("reduction", reduction, get_args(PointReduction)),
    ):
        if found not in known:
            raise errors.unknown_option(name, found, known)


def check_labelled_points(shape: Sequence[Any], dtype: str, labels: Form) -> None:
    """Check what is known of points and labels without their values; a size may be None.

    Raises:
        ShapeError, DTypeError.
    """
    if dtype not in FLOATS:
        raise errors.wrong_dtype("points", dtype, "float16, bfloat16, float32 or float64")
    if len(shape) != 2:
        hint = "Merge batch and time with points.reshape(-1, dimensions), and drop padding first."
        raise errors.wrong_rank("points", shape, "(points, dimensions)", hint if len(shape) == 3 else "")
    if shape[1] == 0:
        raise errors.wrong_rank("points", shape, "(points, dimensions)", "Give at least one dimension.")
    if len(labels.shape) != 1:
        hint = "Take labels.argmax(-1) of one-hot labels, labels[:, 0] of a column."
        raise errors.wrong_rank("labels", labels.shape, "(points,)", hint if len(labels.shape) == 2 else "")
    if not labels.integers:
        raise errors.wrong_dtype("labels", labels.dtype, "integers, one class for each point")
    if None not in (shape[0], labels.shape[0]) and labels.shape[0] != shape[0]:
        raise errors.ShapeError(
            f"labels: expected {shape[0]} labels, one for each point, found {labels.shape[0]}; points are "
            "(points, dimensions)."
        )


def check_temperature(temperature: Any) -> None:
    """Raise `OptionError` for a number that is no temperature."""
    if isinstance(temperature, bool) or not isinstance(temperature, Real) or not 0 < float(temperature) < np.inf:
        raise errors.OptionError(
            f"temperature: expected a positive number, found {temperature!r}; where it is learnt, learn its logarithm, "
            "temperature=exp(t)."
        )


def check_temperature_shape(shape: Sequence[int]) -> None:
    """Raise `ShapeError` for a learnt temperature that is no scalar."""
    if tuple(shape) not in ((), (1,)):
        raise errors.wrong_rank("temperature", shape, "(), a scalar")


def needs_float64(largest_norm: float) -> bool:
    """Whether float32 points are computed in float64, by the largest squared norm |z|^2 of the scaled points.

    A score is off by about 4 |z|^2 2^-24, as it is |z_i|^2 + |z_j|^2 - 2 z_i z_j.
    """
    return not largest_norm <= LARGEST_NORM


def count_lone_points(labels: np.ndarray) -> int:
    """The number of points whose label occurs once."""
    return int((np.unique(labels, return_counts=True)[1] == 1).sum())


def warn_of_lone_points(function: str, labels: np.ndarray) -> None:
    """Warn if the label of some points occurs once: they have no neighbour of their class."""
    lone = count_lone_points(labels)
    if lone:
        warnings.warn(
            f"{function}: {lone} of {labels.size} points have a label that occurs once in the batch, so no neighbour "
            "of their class: their loss is 0, and the mean leaves them out. Draw batches with two or more points of "
            "each class.",
            errors.SeqLossWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """The `stacklevel` of the first caller outside of seqloss and TensorFlow's wrappers, seen from what calls this."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in {"seqloss", "tensorflow"}:
        level, frame = level + 1, frame.f_back
    return level
