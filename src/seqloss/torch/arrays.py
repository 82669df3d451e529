"""Tensors as NumPy arrays and back: what every function behind this door begins and ends with."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from seqloss.errors import SeqLossWarning, wrong_dtype

COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
_told: set[tuple[str, str]] = set()


def scores(logits: torch.Tensor, purpose: str) -> np.ndarray:
    """Logits as float32 or float64 on the host, without their graph; a view where that is possible.

    Raises:
        DTypeError: no tensor, or not of a floating type that seqloss computes with.
    """
    if not isinstance(logits, torch.Tensor):
        raise wrong_dtype("logits", type(logits).__name__, "a torch.Tensor")
    if logits.dtype not in COMPUTED_IN:
        raise wrong_dtype("logits", logits.dtype, "float16, bfloat16, float32 or float64")
    if logits.device.type != "cpu":
        _tell_detour(logits.device.type, purpose)
    return logits.detach().to("cpu", COMPUTED_IN[logits.dtype]).numpy()


def integers(values: Any) -> Any:
    """A tensor of labels or lengths as an array; anything else as it is."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def _tell_detour(device: str, purpose: str) -> None:
    if (device, purpose) not in _told:
        _told.add((device, purpose))
        warnings.warn(
            f"{purpose} has no kernel for {device} tensors yet: the scores travel to the CPU and the result "
            "back. The answer is right, but each call waits for the device. (Said once.)",
            SeqLossWarning,
            stacklevel=4,
        )
