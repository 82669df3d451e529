"""Types of the arguments, and conversion of tensors to NumPy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from seqloss.contract import Batch
from seqloss.errors import SeqLossWarning, callers_level, wrong_dtype, wrong_logits_dtype
from seqloss.kernels.triton.available import reason_against
from seqloss.numpy import arrays
from seqloss.torch.tracing import refuse_tracing

IntegerArray: TypeAlias = torch.Tensor | npt.NDArray[np.integer] | Sequence[int] | Sequence[Sequence[int]]
"""Labels or lengths: a tensor on any device, an array of integers, or (nested) lists."""

COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
"""The type that each type of logits is computed in."""

HAS_GPU_KERNEL = {"ctc_loss", "CTCLoss", "ctc_posteriors", "ctc_align", "ctc_greedy"}
"""The functions that have Triton kernels."""

_warned: set[tuple[str, str]] = set()


def logits_to_numpy(logits: torch.Tensor, purpose: str) -> np.ndarray:
    """Convert logits to a float32 or float64 array on the host, without their graph; a view where possible.

    Args:
        logits: a tensor on any device.
        purpose: the public function's name, for messages.

    Raises:
        DTypeError: not a tensor, or not of a supported floating type.
        RuntimeError: a tracer records the program, or the tensor is fake.
    """
    if not isinstance(logits, torch.Tensor):
        raise wrong_dtype("logits", type(logits).__name__, "a torch.Tensor")
    if logits.dtype not in COMPUTED_IN:
        raise wrong_logits_dtype(logits.dtype)
    refuse_tracing(purpose, logits)
    if logits.device.type != "cpu":
        _warn_of_fallback(logits, purpose)
    return tensor_to_numpy(logits.detach().to("cpu", COMPUTED_IN[logits.dtype]))


def integers_to_numpy(values: Any) -> Any:
    """Convert a tensor of labels or lengths to an array; return anything else unchanged."""
    return tensor_to_numpy(values.detach().cpu()) if isinstance(values, torch.Tensor) else values


def log_softmax_rounding(kind: torch.dtype) -> float:
    """Return the `rounding` of `contract.check_normalized` for logits of a type: 0 unless it is a half type."""
    return torch.finfo(kind).eps if kind.itemsize == 2 else 0.0


def read_host_arguments(
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
    """Copy the arguments to the host and check them; return the logits and the batch."""
    values = logits_to_numpy(logits, purpose)
    batch = arrays.check_call(
        values, *map(integers_to_numpy, (targets, logit_lengths, target_lengths)), blank=blank, normalize=normalize,
        validate=validate, rounding=log_softmax_rounding(logits.dtype),
    )  # fmt: skip
    return values, batch


def unreachable_values(cause: object) -> RuntimeError:
    """Return the error for a tensor whose values cannot be read."""
    return RuntimeError(
        f"seqloss cannot read this tensor's numbers ({cause}): inside torch.func's transforms, under a tracer and in a "
        "fake tensor they are not there. Call it outside, on all rows at once; for derivatives take "
        "torch.autograd.grad; make a nested tensor a padded one: to_padded_tensor(0)."
    )


def tensor_to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """Convert a tensor on the host, without a graph, to an array that shares its memory.

    Raises:
        RuntimeError: its values cannot be read.
    """
    try:
        return tensor.resolve_neg().numpy()
    except RuntimeError as error:
        raise unreachable_values(error) from error


def _warn_of_fallback(logits: torch.Tensor, purpose: str) -> None:
    device = logits.device.type
    if (device, purpose) not in _warned:
        _warned.add((device, purpose))
        against = reason_against(logits.device, logits.dtype)
        why = f" here ({against})" if device == "cuda" and against and purpose in HAS_GPU_KERNEL else " yet"
        warnings.warn(
            f"{purpose} has no kernel for {device} tensors{why}. It falls back to the CPU: the logits are copied "
            "there and the result back. The result is right, but each call waits for the device. (Shown once.)",
            SeqLossWarning,
            stacklevel=callers_level(),
        )
