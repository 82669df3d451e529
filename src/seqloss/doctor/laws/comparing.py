"""How far outputs and losses are from those that they must equal but for rounding."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from seqloss.doctor.subject import Outputs

ROUNDING = 1e-4
"""Of float32 outputs, relative to the largest one: kernels sum in another order for another shape. Healthy models stay
below 1e-5; a row that another row reaches differs by a hundredth or more."""

HALF_ROUNDING = 3e-2


def tolerance(outputs: Mapping[str, Tensor]) -> float:
    """The rounding of outputs of these types, or of the layers that they come from."""
    kinds = {tensor.dtype for tensor in outputs.values()}
    in_half = isinstance(outputs, Outputs) and outputs.in_half
    return HALF_ROUNDING if in_half or kinds & {torch.float16, torch.bfloat16} else ROUNDING


def largest_difference(one: Tensor, other: Tensor) -> float:
    """Relative to the largest finite entry; infinite where only one of the two is finite."""
    one, other = one.detach().double(), other.detach().double()
    if one.shape != other.shape:
        return float("inf")
    if not one.numel():
        return 0.0
    same = (one == other) | (one.isnan() & other.isnan())
    if (one.isfinite() != other.isfinite())[~same].any():
        return float("inf")
    scale = max(float(other[other.isfinite()].abs().max()) if other.isfinite().any() else 0.0, 1e-30)
    return float(torch.where(same, 0.0, (one - other).abs()).max()) / scale


def relative_difference(one: float, other: float) -> float:
    """Of two losses, relative to the second."""
    return abs(one - other) / max(abs(other), 1e-30)


def outputs_differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> tuple[str, float] | None:
    """The first output of floats that differs by more than rounding, and by how much."""
    for name, tensor in one.items():
        if tensor.is_floating_point():
            difference = largest_difference(other[name], tensor)
            if difference > tolerance(one):
                return name, difference
    return None


def common_part(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both cut to the smaller size of each axis; as they are if their ranks differ."""
    if one.dim() != other.dim():
        return one, other
    for axis in range(one.dim()):
        size = min(one.shape[axis], other.shape[axis])
        one, other = one.narrow(axis, 0, size), other.narrow(axis, 0, size)
    return one, other
