"""Arguments of losses of single steps: checked where Python sees their values, then brought to the scores' device."""

from __future__ import annotations

from typing import Any

import torch

from seqloss import contract
from seqloss.contract import Form
from seqloss.formulas.masked import Steps, find_steps
from seqloss.torch.ctc.device_arguments import INTEGERS
from seqloss.torch.losses.floats import host_values
from seqloss.torch.namespace import TorchNamespace


def seen(name: str, values: Any) -> Any:
    """An argument as the contract checks it: an array, a `Form` if it has no values here, or None."""
    if values is None or isinstance(values, Form):
        return values
    if torch.compiler.is_compiling():
        return form_of(torch.as_tensor(values))
    if not isinstance(values, torch.Tensor):
        return contract.as_step_array(name, values)
    known = host_values(values)
    return form_of(values) if known is None else known


def form_of(values: torch.Tensor) -> Form:
    return Form(tuple(values.shape), str(values.dtype).removeprefix("torch."), values.dtype in INTEGERS)


def place_steps(x: torch.Tensor, lengths: Any, mask: Any) -> Steps:
    """Which steps of an array (batch, time, ...) are real, on its device."""
    counts = None if lengths is None else place_integers(lengths, x)
    return find_steps(TorchNamespace(x.device), x, counts, None if mask is None else place(mask, x) != 0)


def place_integers(values: Any, x: torch.Tensor) -> torch.Tensor:
    """Labels or lengths as integers on the device of x; those out of 32 bits stay out of every range."""
    return place(values, x).to(torch.int64)


def place(values: Any, x: torch.Tensor) -> torch.Tensor:
    """An argument as a tensor on the device of x; nothing waits for it."""
    tensor = torch.as_tensor(values)
    return tensor if tensor.device == x.device else tensor.to(x.device, non_blocking=True)
