"""The Triton kernels as operators of PyTorch's own, which torch.compile keeps whole and does not look into.

Outside torch.compile `gpu.py` does with an autograd Function, which costs less. While a program is traced no value is
known, on whatever device it lives: what breaks the contract is NaN for its row.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss.contract import Infeasible, Reduction
from seqloss.kernels.triton.ctc.residuals import Residuals, empty_residuals
from seqloss.torch.ctc.device_arguments import read_traced_arguments
from seqloss.torch.ctc.gpu import INFEASIBLE, POSTERIOR, SOFTMAX, TORCHS, counted, slack, weighed
from seqloss.torch.no_double_backward import no_second_derivative

UNCHECKED = -1.0
"""For the `rounding` that is None."""


@torch.library.custom_op(
    "seqloss::ctc_losses",
    mutates_args=(),
    schema="(Tensor logits, Tensor targets, Tensor? logit_lengths, Tensor? target_lengths, Tensor? label_counts, "
    + "int blank, bool normalize, int infeasible, str reduction, float rounding, bool gradient, int mode) -> "
    + f"({', '.join(['Tensor'] * (1 + len(Residuals._fields)))})",
)
def ctc_losses(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, label_counts: torch.Tensor | None, blank: int, normalize: bool,
    infeasible: int, reduction: Reduction, rounding: float, gradient: bool, mode: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """The loss of each row, or what they are reduced to, and what the gradient needs: see
    `seqloss.kernels.triton.ctc.pipeline`.

    A residual that there is not is one without numbers.
    """
    from seqloss.kernels.triton.ctc import pipeline as ctc

    losses, residuals = ctc.forward(
        logits, targets, logit_lengths, target_lengths, label_counts, blank=blank, normalize=normalize,
        infeasible=infeasible, reduction=reduction, rounding=None if rounding == UNCHECKED else rounding,
        gradient=gradient,
    )  # fmt: skip
    return losses.result, *_all_tensors(logits, residuals)


@ctc_losses.register_fake
def _(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, label_counts: torch.Tensor | None, blank: int, normalize: bool,
    infeasible: int, reduction: Reduction, rounding: float, gradient: bool, mode: int,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    result = logits.new_empty(logits.shape[0] if reduction == "none" else (), dtype=torch.float32)
    residuals = empty_residuals(logits, targets.shape[1], reduction) if gradient else None
    return result, *_all_tensors(logits, residuals)


def _all_tensors(logits: torch.Tensor, residuals: Residuals | None) -> list[torch.Tensor]:
    """Residuals as an operator returns them."""
    found = residuals or (None,) * len(Residuals._fields)
    return [logits.new_empty(0) if tensor is None else tensor for tensor in found]


@torch.library.custom_op(
    "seqloss::ctc_gradient",
    mutates_args=(),
    schema=f"(Tensor logits, {', '.join('Tensor ' + name for name in Residuals._fields)}, Tensor upstream, "
    + "int blank, int mode) -> Tensor",
)
def ctc_gradient(logits: torch.Tensor, *rest: Any) -> torch.Tensor:
    """The gradient of sum(upstream * loss)."""
    from seqloss.kernels.triton.ctc import pipeline as ctc

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
    ctx.loss_name = "CTCLoss" if inputs[-1] == TORCHS else "ctc_loss"


def _double_backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
    raise no_second_derivative(ctx.loss_name)


ctc_gradient.register_autograd(_double_backward, setup_context=_save_name)


def traced_losses(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, *, blank: int, normalize: bool,
    infeasible: Infeasible, validate: bool, reduction: Reduction, denominator: float | None, mode: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """`seqloss.torch.ctc_loss` while torch.compile, make_fx or a FakeTensorMode traces it.

    Raises:
        ShapeError, DTypeError, LabelError: an argument's form, or the blank.
    """
    given = read_traced_arguments(logits, targets, logit_lengths, target_lengths, blank=blank)
    allowed = slack(logits, normalize, validate)
    found: torch.Tensor = ctc_losses(
        logits, *given[:3], counted(given, reduction), given.blank, normalize, INFEASIBLE[infeasible],
        reduction, UNCHECKED if allowed is None else allowed,
        torch.is_grad_enabled() and logits.requires_grad,
        (SOFTMAX if normalize else POSTERIOR) if mode is None else mode,
    )[0]  # fmt: skip
    return weighed(found, 1.0 / (denominator or 1.0))
