"""Arguments and results of losses of single steps on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.errors import ShapeError, wrong_dtype
from seqloss.formulas.masked import Steps, find_steps
from seqloss.numpy.arrays import COMPUTED_IN
from seqloss.numpy.namespace import XP

Mask: TypeAlias = npt.NDArray[np.bool_ | np.integer] | Sequence[Sequence[bool | int]]
"""Which steps are real: an array, or nested lists."""

Numbers: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[object]]
"""Numbers (batch, time) or (batch, time, ...): an array, or nested lists. `np.generic`, because of bfloat16."""

Loss: TypeAlias = npt.NDArray[np.floating] | np.floating
"""One loss per step, or a scalar after a reduction."""


def read_floats(name: str, values: Any) -> tuple[np.ndarray, np.dtype]:
    """Scores in the type that they are computed in, and their own type.

    Raises:
        DTypeError, ShapeError
    """
    array = contract.as_step_array(name, values)
    if array.dtype.name not in COMPUTED_IN or not array.dtype.isnative:
        raise wrong_dtype(name, array.dtype, "float16, bfloat16, float32 or float64")
    return array.astype(COMPUTED_IN[array.dtype.name], copy=False), array.dtype


def read_optional(name: str, values: Any) -> np.ndarray | None:
    return None if values is None else contract.as_step_array(name, values)


def real_steps(x: np.ndarray, lengths: np.ndarray | None, mask: np.ndarray | None) -> Steps:
    """Which steps of an array (batch, time, ...) are real."""
    return find_steps(XP, x, lengths, None if mask is None else mask != 0)


def step_upstream(
    losses: np.ndarray, steps: Steps, reduction: Reduction, denominator: float | None, upstream: Any
) -> np.ndarray:
    """The gradient of the objective with respect to each step's own loss, (batch, time); 0 where it is not real."""
    given = np.asarray(1.0 if upstream is None else upstream, np.float64)
    shape = losses.shape if reduction == "none" else ()
    if given.shape not in ((), shape):
        raise ShapeError(f"upstream: expected a number or shape {shape}, the loss's, found {given.shape}.")
    counts = steps.real.sum(1, dtype=losses.dtype)
    divisor = contract.step_divisor(reduction, counts, losses.shape[0], denominator)
    return np.where(steps.real, given / divisor, 0.0).astype(losses.dtype)


def as_given(gradient: np.ndarray, kind: np.dtype) -> np.ndarray:
    """A gradient in the type of the scores."""
    with np.errstate(over="ignore", under="ignore"):  # a half type holds less: inf and 0, as in every framework
        return gradient.astype(kind, copy=False)
