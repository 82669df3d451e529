"""What the soft nearest neighbour loss asks of tensors beyond points and labels."""

from __future__ import annotations

from typing import Any

import torch

from seqloss import contract
from seqloss.torch._compat import has_tangent, is_batched, transforms_are_active
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.losses.floats import host_values
from seqloss.torch.tracing import has_no_values


def read_temperature(temperature: float | torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """A scalar in the type that the points are computed in, on their device, with its graph; checked where known.

    Raises:
        ShapeError: it is no scalar.
        OptionError: its value is known on the host, and not positive.
    """
    if not isinstance(temperature, torch.Tensor):
        contract.check_temperature(temperature)
        return torch.tensor(float(temperature), dtype=COMPUTED_IN[points.dtype], device=points.device)
    contract.check_temperature_shape(temperature.shape)
    known = host_values(temperature.double())
    if known is not None:
        contract.check_temperature(float(known.reshape(())))
    return temperature.reshape(()).to(points.device, COMPUTED_IN[points.dtype])


def is_plain_call(*tensors: torch.Tensor) -> bool:
    """Whether a call is eager, of real tensors, without forward mode and transforms: reverse mode at most."""
    if torch.compiler.is_compiling() or transforms_are_active() or torch.jit.is_tracing():
        return False
    return not any(has_no_values(x) or is_batched(x) or has_tangent(x) for x in tensors)


def warn_of_lone_points(function: str, labels: torch.Tensor) -> None:
    """See `seqloss.contract.warn_of_lone_points`; labels that cannot be read are not checked."""
    known = host_values(labels)
    if known is not None:
        contract.warn_of_lone_points(function, known)


def without_autocast(points: torch.Tensor) -> Any:
    """A context in which matrices are multiplied in their own type."""
    return torch.autocast(points.device.type, enabled=False)
