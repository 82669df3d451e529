"""CTC of PyTorch, on the CPU and on a GPU, and seqloss.torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss.errors import VerifyError
from seqloss.verify.adapters.types import Adapter, Loss


def make_adapter(loss: Loss, device: str = "cpu") -> Adapter:
    """Turn a loss of tensors into a function of arrays that also returns the gradient of autograd.

    Args:
        loss: takes logits (batch, time, classes) on the device, targets and both lengths as int64 tensors on the CPU,
            and the blank; returns losses (batch,).
        device: where the logits are.
    """

    def adapter(
        logits: np.ndarray,
        targets: np.ndarray,
        logit_lengths: np.ndarray,
        target_lengths: np.ndarray,
        blank: int,
        upstream: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        import torch

        x = to_tensor(logits).to(device).requires_grad_()
        losses = loss(x, *map(torch.from_numpy, (targets, logit_lengths, target_lengths)), blank)
        weights = torch.ones_like(losses) if upstream is None else torch.from_numpy(upstream).to(losses)
        (gradient,) = torch.autograd.grad(losses, x, weights)
        return to_array(losses), to_array(gradient)

    return adapter


def to_tensor(values: np.ndarray) -> Any:
    """A tensor that shares the memory of an array. torch.from_numpy does not support bfloat16."""
    import torch

    if values.dtype.name == "bfloat16":
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def to_array(values: Any) -> np.ndarray:
    """A tensor on any device as an array of the same type."""
    import torch

    values = values.detach().cpu()
    if values.dtype == torch.bfloat16:
        import ml_dtypes

        return values.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return values.numpy()


def _native(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return _native_on_log_probs(x.log_softmax(2), targets, logit_lengths, target_lengths, blank)


def _native_zero_infinity(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return _native_on_log_probs(x.log_softmax(2), targets, logit_lengths, target_lengths, blank, zero_infinity=True)


def _native_on_log_probs(
    x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int, zero_infinity: bool = False
) -> Any:
    """Without cuDNN, which torch uses for some types and lengths."""
    import torch

    with torch.backends.cudnn.flags(enabled=False):
        return torch.nn.functional.ctc_loss(
            x.transpose(0, 1),
            targets.to(x.device),
            logit_lengths,
            target_lengths,
            blank=blank,
            reduction="none",
            zero_infinity=zero_infinity,
        )


def _cudnn(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """Arguments with which torch uses cuDNN: int32 on the CPU, concatenated targets."""
    import torch

    labels = torch.cat([row[:n] for row, n in zip(targets, target_lengths.tolist(), strict=True)])
    return torch.nn.functional.ctc_loss(
        x.log_softmax(2).transpose(0, 1),
        labels.int(),
        logit_lengths.int(),
        target_lengths.int(),
        blank=blank,
        reduction="none",
    )


def _frontend(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    from seqloss.torch import ctc_loss

    return ctc_loss(x, targets, logit_lengths, target_lengths, blank=blank)


def _frontend_on_log_probs(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    from seqloss.torch import ctc_loss

    return ctc_loss(x, targets, logit_lengths, target_lengths, blank=blank, normalize=False)


def _drop_in(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return _drop_in_on_log_probs(x.log_softmax(2), targets, logit_lengths, target_lengths, blank)


def _drop_in_zero_infinity(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return _drop_in_on_log_probs(x.log_softmax(2), targets, logit_lengths, target_lengths, blank, zero_infinity=True)


def _drop_in_on_log_probs(
    x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int, zero_infinity: bool = False
) -> Any:
    from seqloss.torch import CTCLoss

    ctc = CTCLoss(blank, reduction="none", zero_infinity=zero_infinity)
    return ctc(x.transpose(0, 1), targets, logit_lengths, target_lengths)


native = make_adapter(_native)
native_zero_infinity = make_adapter(_native_zero_infinity)
native_on_log_probs = make_adapter(_native_on_log_probs)
frontend = make_adapter(_frontend)
frontend_on_log_probs = make_adapter(_frontend_on_log_probs)
drop_in = make_adapter(_drop_in)
drop_in_zero_infinity = make_adapter(_drop_in_zero_infinity)


def drop_in_on_log_probs(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
) -> np.ndarray:
    """Losses only: like torch, it returns the gradient with respect to logits, also for log-probabilities."""
    import torch

    labels, frames, counts = map(torch.from_numpy, (targets, logit_lengths, target_lengths))
    return to_array(_drop_in_on_log_probs(to_tensor(logits), labels, frames, counts, blank))


def __getattr__(name: str) -> Adapter:
    """`cuda` and `cudnn`, if there is a CUDA device; `torchaudio` does not exist."""
    if name == "torchaudio":
        raise VerifyError("torchaudio has no CTC loss: its recipes use that of torch")
    if name not in ("cuda", "cudnn"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import torch

    if not torch.cuda.is_available():
        raise VerifyError("no CUDA device")
    return make_adapter(_native if name == "cuda" else _cudnn, "cuda")
