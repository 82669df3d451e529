"""What the soft nearest neighbour loss asks beyond points and labels: a temperature, precision and neighbours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np

from seqloss import errors

Metric = Literal["euclidean", "cosine"]
LARGEST_NORM = 1024.0
"""Up to this squared norm of the scaled points, float32 computes scores to 2^-12: see `needs_float64`."""


def check_temperature(temperature: Any) -> None:
    """Raise `OptionError` for a number that is no temperature, and `ShapeError` for an array that is no scalar."""
    if isinstance(temperature, np.ndarray):
        check_temperature_shape(temperature.shape)
        temperature = temperature[()]
    if isinstance(temperature, bool) or not isinstance(temperature, Real) or not 0 < float(temperature) < np.inf:
        raise errors.OptionError(
            f"temperature: expected a positive number, found {temperature!r}; where it is learnt, learn its logarithm, "
            "temperature=exp(t)."
        )


def check_temperature_shape(shape: Sequence[int]) -> None:
    """Raise `ShapeError` for an array or a tensor that is no scalar."""
    if tuple(shape):
        raise errors.wrong_rank("temperature", shape, "(), a scalar", "Take temperature[0] of a single entry.")


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
            stacklevel=errors.callers_level(),
        )
