"""How the steps of a row are weighted: the words that `time_weighted` knows, and what a callable may return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from seqloss import errors

StepWeightName = Literal["sqrt", "linear", "exponential"]
StepWeight: TypeAlias = StepWeightName | Callable[[Any], Any]
"""The name of a weighting, or a function of the steps (batch, time), counted from 1, that returns their weights."""


def check_step_weight(weight: Any) -> None:
    """Raise `OptionError` for a weighting that is no known name and no callable."""
    if not callable(weight) and weight not in get_args(StepWeightName):
        names = ", ".join(map(repr, get_args(StepWeightName)))
        raise errors.OptionError(f"weight: found {weight!r}, expected one of {names}, or a callable of the steps.")


def check_step_weights(found: tuple[Any, ...], steps: tuple[Any, ...]) -> None:
    """Raise `ShapeError` for weights of a callable that are not one for each step.

    Args:
        found: shape of the weights.
        steps: (batch, time); a size is None where a framework does not know it yet.
    """
    if None in found or None in steps:
        return
    try:
        fit = np.broadcast_shapes(found, steps) == tuple(steps)
    except ValueError:
        fit = False
    if not fit:
        raise errors.ShapeError(
            f"weight: the callable returned shape {tuple(found)}, expected {tuple(steps)}, a weight for each step, "
            "or a shape that broadcasts to it."
        )
