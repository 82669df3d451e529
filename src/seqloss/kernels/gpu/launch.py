"""Where a kernel starts: on the tensors' own device, on whatever stream is current there."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def on(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the current one, which is where Triton starts kernels."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
