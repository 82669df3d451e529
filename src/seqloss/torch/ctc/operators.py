"""The Triton kernels as operators of PyTorch's own, which torch.compile keeps whole and does not look into.

Outside torch.compile `gpu.py` does with an autograd Function, which costs less. While a program is traced no value is
known, on whatever device it lives: what breaks the contract is NaN for its row.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss.contract import Infeasible, Reduction
from seqloss.errors import wrong_batch, wrong_blank, wrong_dtype, wrong_rank
from seqloss.torch.ctc.device_arguments import INTEGERS, padded
from seqloss.torch.ctc.gpu import INFEASIBLE, POSTERIOR, SOFTMAX, TORCHS, slack, weighed
from seqloss.torch.no_double_backward import no_second_derivative

UNCHECKED = -1.0
"""For the `rounding` that is None."""

_schema = "(Tensor logits, Tensor targets, Tensor logit_lengths, Tensor target_lengths, Tensor label_counts, "
_residuals = (
    "top", "others", "posteriors", "likeliest", "complement", "labels", "leaders", "frames", "counts", "status",
    "weights",
)  # fmt: skip


@torch.library.custom_op(
    "seqloss::ctc_losses",
    mutates_args=(),
    schema=_schema
    + "int blank, bool normalize, int infeasible, str reduction, float rounding, bool gradient, int mode) -> "
    + f"({', '.join(['Tensor'] * (1 + len(_residuals)))})",
)
def ctc_losses(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor, target_lengths: torch.Tensor,
    label_counts: torch.Tensor, blank: int, normalize: bool, infeasible: int, reduction: Reduction, rounding: float,
    gradient: bool, mode: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """The loss of each row, or what they are reduced to, and what the gradient needs: see
    `seqloss.kernels.triton.ctc.pipeline`.

    A tensor that there is not is one without numbers.
    """
    from seqloss.kernels.triton.ctc import pipeline as ctc

    losses, residuals = ctc.forward(
        logits, targets, logit_lengths, target_lengths, label_counts, blank=blank, normalize=normalize,
        infeasible=infeasible, reduction=reduction, rounding=None if rounding == UNCHECKED else rounding,
        gradient=gradient,
    )  # fmt: skip
    found = residuals or (None,) * len(_residuals)
    return losses.result, *(logits.new_empty(0) if tensor is None else tensor for tensor in found)


@ctc_losses.register_fake
def _(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor, target_lengths: torch.Tensor,
    label_counts: torch.Tensor, blank: int, normalize: bool, infeasible: int, reduction: Reduction, rounding: float,
    gradient: bool, mode: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    from seqloss.kernels.triton.ctc.loss import has_weights
    from seqloss.kernels.triton.ctc.prepared_targets import leaders_shape

    batch, time, classes = logits.shape
    result = logits.new_empty(batch if reduction == "none" else (), dtype=torch.float32)
    if not gradient:
        return result, *(logits.new_empty(0) for _ in _residuals)
    frame = (batch, time)
    floats = [logits.new_empty(shape, dtype=torch.float32) for shape in (frame, frame, (*frame, targets.shape[1] + 1))]
    likeliest = logits.new_empty(frame, dtype=torch.int32)
    complement = logits.new_empty(frame, dtype=torch.float32)
    labels = logits.new_empty((batch, targets.shape[1]), dtype=torch.int32)
    shape, kind = leaders_shape(batch, targets.shape[1], classes)
    leaders = logits.new_empty(shape, dtype=kind)
    frames, counts = (logits.new_empty(batch, dtype=torch.int32) for _ in range(2))
    status = logits.new_empty(batch, dtype=torch.int8)
    weights = logits.new_empty(batch if has_weights(reduction) else 0, dtype=torch.float32)
    return result, *floats, likeliest, complement, labels, leaders, frames, counts, status, weights


@torch.library.custom_op(
    "seqloss::ctc_gradient",
    mutates_args=(),
    schema=f"(Tensor logits, {', '.join('Tensor ' + name for name in _residuals)}, Tensor upstream, "
    + "int blank, int mode) -> Tensor",
)
def ctc_gradient(logits: torch.Tensor, *rest: Any) -> torch.Tensor:
    """The gradient of sum(upstream * loss)."""
    from seqloss.kernels.triton.ctc import pipeline as ctc
    from seqloss.kernels.triton.ctc.gradient import Residuals

    *residuals, weights, upstream, blank, mode = rest
    own = Residuals(*(*residuals, weights if weights.numel() else None))
    return ctc.backward(logits, own, upstream, blank=blank, mode=mode)


@ctc_gradient.register_fake
def _(logits: torch.Tensor, *rest: Any) -> torch.Tensor:
    return torch.empty_like(logits, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    ctx.save_for_backward(inputs[0], *output[1:])
    ctx.blank, ctx.mode = inputs[5], inputs[-1]


def _backward(ctx: Any, upstream: torch.Tensor, *_residuals_have_none: Any) -> tuple[Any, ...]:
    gradient = ctc_gradient(*ctx.saved_tensors, upstream.float().contiguous(), ctx.blank, ctx.mode)
    return gradient, *(None,) * 11


ctc_losses.register_autograd(_backward, setup_context=_save)


def _save_name(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.name = "CTCLoss" if inputs[-1] == TORCHS else "ctc_loss"


def _double_backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
    raise no_second_derivative(ctx.name)


ctc_gradient.register_autograd(_double_backward, setup_context=_save_name)


def traced_losses(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, *, blank: int, normalize: bool,
    infeasible: Infeasible, validate: bool, reduction: Reduction, denominator: float | None, mode: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """`seqloss.torch.ctc_loss` while torch.compile, make_fx or a FakeTensorMode traces it.

    Raises:
        ShapeError, DTypeError, LabelError: an argument's form, or the blank.
    """
    if logits.ndim != 3:
        raise wrong_rank("logits", logits.shape, "(batch, time, classes)", "Add a batch axis with logits[None].")
    batch, time, classes = logits.shape
    if not -classes <= blank < classes:
        raise wrong_blank(blank, classes)
    targets = _tensor("targets", targets, logits)
    frames = _lengths("logit_lengths", logit_lengths, time, logits)
    if targets.ndim == 1 and target_lengths is not None:
        label_counts = _lengths("target_lengths", target_lengths, 0, logits)
        targets, counts = padded(logits, targets, label_counts)
    else:
        label_counts = counts = _lengths("target_lengths", target_lengths, targets.shape[-1], logits)
    if targets.ndim != 2:
        raise wrong_rank("targets", targets.shape, "(batch, labels) or (sum of target_lengths,)")
    if targets.shape[0] != batch:
        raise wrong_batch("targets", targets.shape[0], batch)
    allowed = slack(logits, normalize, validate)
    found: torch.Tensor = ctc_losses(
        logits, targets, frames, counts, label_counts, blank % classes, normalize, INFEASIBLE[infeasible],
        reduction, UNCHECKED if allowed is None else allowed,
        torch.is_grad_enabled() and logits.requires_grad,
        (SOFTMAX if normalize else POSTERIOR) if mode is None else mode,
    )[0]  # fmt: skip
    return weighed(found, 1.0 / (denominator or 1.0))


def _tensor(name: str, values: Any, logits: torch.Tensor) -> torch.Tensor:
    tensor = torch.as_tensor(values).to(logits.device, non_blocking=True)
    if tensor.dtype not in INTEGERS:
        raise wrong_dtype(name, str(tensor.dtype).removeprefix("torch."), "integers")
    return tensor


def _lengths(name: str, values: Any, whole: int, logits: torch.Tensor) -> torch.Tensor:
    if values is None:
        return torch.full((logits.shape[0],), whole, dtype=torch.int64, device=logits.device)
    lengths = _tensor(name, values, logits)
    if lengths.ndim != 1:
        raise wrong_rank(name, lengths.shape, "(batch,)")
    if lengths.shape[0] != logits.shape[0]:
        raise wrong_batch(name, lengths.shape[0], logits.shape[0])
    return lengths
