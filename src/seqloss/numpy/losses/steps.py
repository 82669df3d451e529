"""Arguments and results of losses of single steps on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.formulas.masked import Steps, find_steps
from seqloss.numpy.losses.floats import read_upstream
from seqloss.numpy.namespace import XP

Mask: TypeAlias = npt.NDArray[np.bool_ | np.integer] | Sequence[Sequence[bool | int]]
"""Which steps are real: an array, or nested lists."""

Numbers: TypeAlias = npt.NDArray[np.generic] | Sequence[Sequence[object]]
"""Numbers (batch, time) or (batch, time, ...): an array, or nested lists. `np.generic`, because of bfloat16."""

Loss: TypeAlias = npt.NDArray[np.floating] | np.floating
"""One loss per step, or a scalar after a reduction."""


def read_optional(name: str, values: Any) -> np.ndarray | None:
    return None if values is None else contract.as_step_array(name, values)


def real_steps(x: np.ndarray, lengths: np.ndarray | None, mask: np.ndarray | None) -> Steps:
    """Which steps of an array (batch, time, ...) are real."""
    return find_steps(XP, x, lengths, None if mask is None else mask != 0)


def step_upstream(
    losses: np.ndarray, steps: Steps, reduction: Reduction, denominator: float | None, upstream: Any
) -> np.ndarray:
    """The gradient of the objective with respect to each step's own loss, (batch, time); 0 where it is not real."""
    given = read_upstream(upstream, losses.shape if reduction == "none" else ())
    counts = steps.real.sum(1, dtype=losses.dtype)
    divisor = contract.step_divisor(reduction, counts, losses.shape[0], denominator)
    return np.where(steps.real, given / divisor, 0.0).astype(losses.dtype)
