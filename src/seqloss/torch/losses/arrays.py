"""Types of the arguments of losses of single steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

Mask: TypeAlias = torch.Tensor | npt.NDArray[np.bool_ | np.integer] | Sequence[Sequence[bool | int]]
"""Which steps are real: a tensor on any device, an array, or nested lists."""

Numbers: TypeAlias = torch.Tensor | npt.NDArray[np.floating | np.integer] | Sequence[Sequence[object]]
"""Targets that are numbers: a tensor on any device, an array, or nested lists."""
