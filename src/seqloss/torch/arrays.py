"""Tensors as NumPy arrays and back: what every function behind this frontend begins and ends with."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch

from seqloss.contract import Batch
from seqloss.errors import SeqLossWarning, wrong_dtype
from seqloss.kernels.triton.available import reason_against
from seqloss.numpy import arrays
from seqloss.torch.tracing import refuse_tracing

COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
ON_GPU = {"ctc_loss", "CTCLoss", "ctc_posteriors", "ctc_align", "ctc_greedy"}
"""What runs on a GPU, where one can be used."""
_told: set[tuple[str, str]] = set()


def scores(logits: torch.Tensor, purpose: str) -> np.ndarray:
    """Logits as float32 or float64 on the host, without their graph; a view where that is possible.

    Raises:
        DTypeError: no tensor, or not of a floating type that seqloss computes with.
        RuntimeError: a tracer records the program, or the tensor has no numbers.
    """
    if not isinstance(logits, torch.Tensor):
        raise wrong_dtype("logits", type(logits).__name__, "a torch.Tensor")
    if logits.dtype not in COMPUTED_IN:
        raise wrong_dtype("logits", logits.dtype, "float16, bfloat16, float32 or float64")
    refuse_tracing(purpose, logits)
    if logits.device.type != "cpu":
        _tell_detour(logits, purpose)
    return _array(logits.detach().to("cpu", COMPUTED_IN[logits.dtype]))


def integers(values: Any) -> Any:
    """A tensor of labels or lengths as an array; anything else as it is."""
    return _array(values.detach().cpu()) if isinstance(values, torch.Tensor) else values


def rounding(kind: torch.dtype) -> float:
    """How far a half type's `log_softmax` may be off, see `contract.check_normalized`; 0 for other types."""
    return torch.finfo(kind).eps if kind.itemsize == 2 else 0.0


def checked(
    purpose: str,
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any,
    target_lengths: Any,
    *,
    blank: int,
    normalize: bool,
    validate: bool,
) -> tuple[np.ndarray, Batch]:
    """The scores on the host, and the batch, held against the contract as `ctc_loss` describes it."""
    values = scores(logits, purpose)
    batch = arrays.checked(
        values, *map(integers, (targets, logit_lengths, target_lengths)), blank=blank, normalize=normalize,
        validate=validate, rounding=rounding(logits.dtype),
    )  # fmt: skip
    return values, batch


def unreachable(cause: object) -> RuntimeError:
    """What to say where a tensor's numbers are out of reach."""
    return RuntimeError(
        f"seqloss cannot read this tensor's numbers ({cause}); inside torch.func's transforms (grad, jacrev, jvp, "
        "vmap) and fake tensors they are out of reach: take torch.autograd.grad, and the batch axis for vmap."
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    try:
        return tensor.resolve_neg().numpy()
    except RuntimeError as error:
        raise unreachable(error) from error


def _tell_detour(logits: torch.Tensor, purpose: str) -> None:
    device = logits.device.type
    if (device, purpose) not in _told:
        _told.add((device, purpose))
        against = reason_against(logits.device, logits.dtype)
        why = f" here, for {against}" if device == "cuda" and against and purpose in ON_GPU else " yet"
        warnings.warn(
            f"{purpose} has no kernel for {device} tensors{why}: the scores travel to the CPU and the result "
            "back. The answer is right, but each call waits for the device. (Said once.)",
            SeqLossWarning,
            stacklevel=_callers_level(),
        )


def _callers_level() -> int:
    """The stacklevel, for whoever asks, of the first line above that is neither seqloss' nor PyTorch's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in {"seqloss", "torch"}:
        level, frame = level + 1, frame.f_back
    return level
