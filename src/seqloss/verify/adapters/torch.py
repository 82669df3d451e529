"""PyTorch's CTC, on the CPU and on a GPU, and seqloss behind torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss.errors import VerifyError
from seqloss.verify.adapters.form import Adapter, Loss


def graded(loss: Loss, device: str = "cpu") -> Adapter:
    """A loss of tensors as a function of arrays, with the gradient that autograd has for it.

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

        x = tensor(logits).to(device).requires_grad_()
        losses = loss(x, *map(torch.from_numpy, (targets, logit_lengths, target_lengths)), blank)
        weights = torch.ones_like(losses) if upstream is None else torch.from_numpy(upstream).to(losses)
        (gradient,) = torch.autograd.grad(losses, x, weights)
        return array(losses), array(gradient)

    return adapter


def tensor(values: np.ndarray) -> Any:
    """A tensor over the array's own memory; torch does not know NumPy's bfloat16."""
    import torch

    if values.dtype.name == "bfloat16":
        return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(values)


def array(values: Any) -> np.ndarray:
    """A tensor of any device as an array of its own type."""
    import torch

    values = values.detach().cpu()
    if values.dtype == torch.bfloat16:
        import ml_dtypes

        return values.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return values.numpy()


def _native(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    return _native_on_log_probs(x.log_softmax(2), targets, logit_lengths, target_lengths, blank)


def _native_on_log_probs(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """cuDNN, which torch chooses by the arguments' form, is kept out."""
    import torch

    with torch.backends.cudnn.flags(enabled=False):
        return torch.nn.functional.ctc_loss(
            x.transpose(0, 1), targets.to(x.device), logit_lengths, target_lengths, blank=blank, reduction="none"
        )


def _cudnn(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    """What torch's page asks for if cuDNN is to be used: int32 on the CPU, targets one after another."""
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


def _drop_in_on_log_probs(x: Any, targets: Any, logit_lengths: Any, target_lengths: Any, blank: int) -> Any:
    from seqloss.torch import CTCLoss

    return CTCLoss(blank, reduction="none")(x.transpose(0, 1), targets, logit_lengths, target_lengths)


native = graded(_native)
native_on_log_probs = graded(_native_on_log_probs)
frontend = graded(_frontend)
frontend_on_log_probs = graded(_frontend_on_log_probs)
drop_in = graded(_drop_in)


def drop_in_on_log_probs(
    logits: np.ndarray,
    targets: np.ndarray,
    logit_lengths: np.ndarray,
    target_lengths: np.ndarray,
    blank: int,
) -> np.ndarray:
    """Losses alone: its gradient by log-probabilities is torch's, which is that by the scores before log_softmax."""
    import torch

    labels, frames, counts = map(torch.from_numpy, (targets, logit_lengths, target_lengths))
    return array(_drop_in_on_log_probs(tensor(logits), labels, frames, counts, blank))


def __getattr__(name: str) -> Adapter:
    """`cuda` and `cudnn`, which are there where a CUDA device is; and torchaudio's, which is torch's."""
    if name == "torchaudio":
        raise VerifyError("torchaudio has no CTC loss of its own: its recipes call torch's")
    if name not in ("cuda", "cudnn"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import torch

    if not torch.cuda.is_available():
        raise VerifyError("no CUDA device")
    return graded(_native if name == "cuda" else _cudnn, "cuda")
