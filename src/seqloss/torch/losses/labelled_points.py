"""Points, labels and temperature as the tensors that the losses of a batch's points take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss import contract
from seqloss.contract import Form
from seqloss.errors import wrong_dtype
from seqloss.numpy.losses.labelled_points import read_labels
from seqloss.torch._compat import has_tangent, is_batched, transforms_are_active
from seqloss.torch.arrays import COMPUTED_IN, tensor_to_numpy
from seqloss.torch.tracing import has_no_values

Labels: TypeAlias = torch.Tensor | npt.NDArray[np.integer] | Sequence[int]
"""One class for each point (points,): a tensor on any device, an array or a list."""


def read_points(points: torch.Tensor, labels: Labels) -> torch.Tensor:
    """Check points and labels without looking at values; return the labels as a tensor on the device of the points.

    Raises:
        ShapeError, DTypeError: see `seqloss.contract.check_labelled_points`.
    """
    if not isinstance(points, torch.Tensor):
        raise wrong_dtype("points", type(points).__name__, "a torch.Tensor")
    if not isinstance(labels, torch.Tensor):
        labels = torch.as_tensor(read_labels(labels))
    integers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    form = Form(tuple(labels.shape), labels.dtype, integers)
    contract.check_labelled_points(tuple(points.shape), str(points.dtype).removeprefix("torch."), form)
    return labels.to(points.device, non_blocking=True)


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
    if host_knows(temperature):
        contract.check_temperature(float(temperature.detach()))
    return temperature.reshape(()).to(points.device, COMPUTED_IN[points.dtype])


def host_knows(tensor: torch.Tensor) -> bool:
    """Whether the values of a tensor can be read without a wait."""
    if torch.compiler.is_compiling() or transforms_are_active():
        return False
    return tensor.device.type == "cpu" and not has_no_values(tensor) and not is_batched(tensor)


def is_plain_call(*tensors: torch.Tensor) -> bool:
    """Whether a call is eager, of real tensors, without forward mode and transforms: reverse mode at most."""
    if torch.compiler.is_compiling() or transforms_are_active() or torch.jit.is_tracing():
        return False
    return not any(has_no_values(x) or is_batched(x) or has_tangent(x) for x in tensors)


def warn_of_lone_points(function: str, labels: torch.Tensor) -> None:
    """See `seqloss.contract.warn_of_lone_points`; labels that cannot be read are not waited for."""
    if host_knows(labels):
        contract.warn_of_lone_points(function, tensor_to_numpy(labels.detach()))


def without_autocast(points: torch.Tensor) -> Any:
    """A context in which matrices are multiplied in their own type."""
    return torch.autocast(points.device.type, enabled=False)
