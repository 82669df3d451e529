"""The losses as PyTorch operators, which compilers and tracers record as one node.

In eager mode autograd Functions do the same at less cost. While a program is traced, no value is known. The operators
of the Triton kernels do not check values: a row that breaks the contract is NaN. The operator of the CPU kernel checks
them each time that the program runs.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from seqloss.contract import Reduction
from seqloss.kernels.ctc.second_derivative import EXP, SOFTMAX
from seqloss.kernels.triton.ctc.residuals import Residuals, empty_residuals
from seqloss.torch._compat import is_in_dual_level
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.ctc.argument_names import torch_argument_names
from seqloss.torch.ctc.device_arguments import check_traced_forms, read_traced_arguments, runs_on_triton
from seqloss.torch.ctc.gpu import INFEASIBLE, counted, slack, weighed, zero_gradient
from seqloss.torch.ctc.row_tensors import Options, RowTensors, multiply_rows, pack_integers
from seqloss.torch.ctc.rows import compute_rows
from seqloss.torch.ctc.second_derivative import ctc_hessian_product, merge_batches, split_batches

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

    _refuse_forward_mode("ctc_loss")
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
    *ctx.options, recorded, ctx.mode = inputs[5:]
    ctx.has_residuals = recorded
    ctx.save_for_backward(inputs[0], *(output[1:] if recorded else inputs[1:5]))


def _backward(ctx: Any, upstream: torch.Tensor, *_residuals_have_none: Any) -> tuple[Any, ...]:
    logits, *saved = ctx.saved_tensors
    if not ctx.has_residuals:  # the program was recorded for logits that need no gradient
        with torch.no_grad():
            _, *saved = ctc_losses(logits, *saved, *ctx.options, True, ctx.mode)
    gradient = ctc_gradient(logits, *saved, upstream.float().contiguous(), ctx.options[0], ctx.mode)
    return gradient, *(None,) * 11


ctc_losses.register_autograd(_backward, setup_context=_save)


def _save_gradient(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *tensors, ctx.blank, ctx.mode = inputs
    ctx.save_for_backward(*tensors)


def _double_backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
    """The derivatives with respect to the logits and to the upstream gradient."""
    logits, *tensors, up_loss = ctx.saved_tensors
    residuals = Residuals(*tensors)
    ones = torch.ones_like(up_loss)
    rows = ctc_gradient(logits, *tensors, ones, ctx.blank, ctx.mode).float()
    closed = zero_gradient(residuals, logits.shape[1])[:, :, None]
    of_upstream = (rows * upstream.float().masked_fill(closed, 0.0)).sum((1, 2))
    own = residuals.weights
    weights = up_loss.expand(len(logits)) * (own if own is not None and own.numel() else 1.0)
    product = ctc_hessian_product(
        logits, upstream.float(), residuals.labels, residuals.frames, residuals.counts, weights, ctx.blank,
        ctx.mode == SOFTMAX, ctx.mode,
    )  # fmt: skip
    if up_loss.ndim == 0:
        of_upstream = of_upstream.sum()
    return product.to(logits.dtype), *(None,) * len(tensors), of_upstream, None, None


ctc_gradient.register_autograd(_double_backward, setup_context=_save_gradient)


def _refuse_forward_mode(name: str) -> None:
    if is_in_dual_level():
        raise RuntimeError(
            f"{name}: a compiled, exported or recorded program has no forward mode; call the loss itself inside of "
            "forward_ad.dual_level and torch.func.jvp."
        )


def compute_losses_by_operator(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
) -> torch.Tensor:
    """The loss of each row, or their reduction, as operators; while a program is traced."""
    if not runs_on_triton(logits):
        gradient = torch.is_grad_enabled() and logits.requires_grad
        # the denominator stays outside of the operator: as an argument, each number would be compiled anew
        plain = options._replace(denominator=None)
        losses = _call_operator(logits, targets, logit_lengths, target_lengths, plain, gradient, program=True)[0]
        losses = losses if options.reduction == "none" else losses.sum()
        return losses if options.denominator is None else losses / options.denominator
    given = read_traced_arguments(logits, targets, logit_lengths, target_lengths, blank=options.blank)
    allowed = slack(logits, options.normalize or options.gradient == EXP, options.validate)
    found: torch.Tensor = ctc_losses(
        logits, *given[:3], counted(given, options.reduction), given.blank, options.normalize,
        INFEASIBLE[options.infeasible], options.reduction, UNCHECKED if allowed is None else allowed,
        torch.is_grad_enabled() and logits.requires_grad, options.gradient,
    )[0]  # fmt: skip
    return weighed(found, 1.0 / (options.denominator or 1.0))


def compute_rows_by_operator(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
) -> RowTensors:
    """Losses and gradients as an operator; while a program is traced inside a transform of torch.func."""
    losses, gradient, factor = _call_operator(
        logits, targets, logit_lengths, target_lengths, options, True, program=False
    )
    given = read_traced_arguments(logits, targets, logit_lengths, target_lengths, blank=options.blank)
    return RowTensors(losses, gradient, factor, pack_integers(logits, given))


def _call_operator(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options, gradient: bool,
    *, program: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    labels = torch.as_tensor(targets)
    frames, counts = (None if x is None else torch.as_tensor(x) for x in (logit_lengths, target_lengths))
    check_traced_forms(logits, labels, frames, counts, blank=options.blank)
    found: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = ctc_loss_and_gradient(
        logits, labels, frames, counts, *options, gradient, program
    )
    return found


@torch.library.custom_op(
    "seqloss::ctc_loss_and_gradient",
    mutates_args=(),
    schema="(Tensor logits, Tensor targets, Tensor? logit_lengths, Tensor? target_lengths, str name, int blank, "
    "bool normalize, str infeasible, str reduction, float? denominator, bool validate, int mode, int groups, "
    "bool gradient, bool program) -> (Tensor, Tensor, Tensor)",
)
def ctc_loss_and_gradient(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, *rest: Any,
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """Losses, gradients and factors of `RowTensors`; without `gradient`, the last two have no entries.

    With `program`, it is called by a recorded program, whose tangents PyTorch would drop without an error.
    """
    *options, gradient, program = rest
    if program:
        _refuse_forward_mode(options[0])
    given = (logits.detach(), targets, logit_lengths, target_lengths, Options(*options))
    with torch_argument_names() if options[0] == "CTCLoss" else nullcontext():
        losses, found, factor, _ = compute_rows(*given, gradient=gradient)
    return losses, found, factor if gradient else losses.new_empty(0)


@ctc_loss_and_gradient.register_fake
def _(logits: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
    kind = COMPUTED_IN[logits.dtype]
    losses = logits.new_empty(logits.shape[0], dtype=kind)
    if not rest[-2]:
        return losses, losses.new_empty(0), losses.new_empty(0)
    return losses, logits.new_empty(logits.shape, dtype=kind), logits.new_empty(logits.shape[:2], dtype=kind)


@ctc_loss_and_gradient.register_vmap
def _(info: Any, in_dims: Any, *arguments: Any) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
    many = info.batch_size
    *merged, groups, gradient, program = merge_batches(many, in_dims, arguments)
    found = ctc_loss_and_gradient(*merged, groups * many, gradient, program)
    return tuple(split_batches(many, part) if part.numel() else part for part in found), (0, 0, 0)


def _save_rows(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    *options, ctx.has_gradient, _ = inputs[4:]
    ctx.options = Options(*options)
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:4], *(output[1:] if ctx.has_gradient else ()))


def _backward_rows(
    ctx: Any, up_losses: torch.Tensor | None, up_gradient: torch.Tensor | None, _: None
) -> tuple[Any, ...]:
    logits, targets, logit_lengths, target_lengths, *rows = ctx.saved_tensors
    options: Options = ctx.options
    if not ctx.has_gradient:  # the program was recorded for logits that need no gradient
        _, *rows = ctc_loss_and_gradient(
            logits, targets, logit_lengths, target_lengths, *options, True, False
        )  # fmt: skip
        up_gradient = None  # of no entries
    gradient, factor = rows
    result = None
    if up_losses is not None:
        result = multiply_rows(gradient, up_losses, factor)
    if up_gradient is not None:
        product = ctc_hessian_product(
            logits, up_gradient, targets, logit_lengths, target_lengths, factor[:, :1].sum(1),
            options.blank % logits.shape[2], options.normalize, options.gradient,
        )  # fmt: skip
        result = product if result is None else result + product
    return None if result is None else result.to(logits.dtype), *(None,) * 14


ctc_loss_and_gradient.register_autograd(_backward_rows, setup_context=_save_rows)
