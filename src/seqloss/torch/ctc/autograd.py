"""The CTC loss under torch.func's transforms and in forward mode; and the second derivative, for eager mode too.

`Losses` computes the losses and, beside them, the gradients, which have no graph there. Its derivatives multiply the
gradients. Where such a product is differentiated again, `Gradients` gives the gradients their own derivative, which is
a Hessian-vector product. Nothing is computed twice.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss.torch._compat import forward_rule, needs_graph
from seqloss.torch.ctc.operators import compute_rows_by_operator
from seqloss.torch.ctc.row_tensors import Options, RowTensors, multiply_rows
from seqloss.torch.ctc.rows import compute_rows
from seqloss.torch.ctc.second_derivative import merge_batches, multiply_hessian, split_batches
from seqloss.torch.tracing import is_traced


class Losses(torch.autograd.Function):
    """(losses, gradient, factor, integers) of `RowTensors`, for the arguments of a loss and its `Options`."""

    @staticmethod
    def forward(
        logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options
    ) -> RowTensors:
        given = (logits, targets, logit_lengths, target_lengths)
        compute = compute_rows_by_operator if is_traced(options.name, *given) else compute_rows
        return compute(*given, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: RowTensors) -> None:
        logits, ctx.options = inputs[0], inputs[-1]
        rows = output[1:]
        ctx.mark_non_differentiable(*rows)
        ctx.set_materialize_grads(False)
        ctx.save_for_forward(logits, *rows)
        ctx.save_for_backward(logits, *rows)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *_: None) -> tuple[torch.Tensor | None, ...]:
        if upstream is None:
            return (None,) * 5
        logits, gradient, factor, integers = ctx.saved_tensors
        if needs_graph():
            gradient = Gradients.apply(logits, gradient, factor, integers, ctx.options)
        result = multiply_rows(gradient, upstream, factor).to(logits.dtype)
        return result, None, None, None, None

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, direction: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
        if direction is None:
            return None, None, None, None
        logits, gradient, factor, integers = ctx.saved_primals
        gradient = Gradients.apply(logits, gradient, factor, integers, ctx.options)
        direction = direction.to(gradient.dtype).masked_fill((factor == 0.0)[:, :, None], 0.0)
        return (gradient * direction).sum((1, 2)), None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
        options: Options = arguments[-1]
        many = info.batch_size
        merged = merge_batches(many, in_dims[:-1], as_tensors(arguments[:-1]))
        found = Losses.apply(*merged, options._replace(groups=options.groups * many))
        return tuple(split_batches(many, part) for part in found), (0, 0, 0, 0)


class Gradients(torch.autograd.Function):
    """The gradients that `Losses` has computed, with their derivative with respect to the logits."""

    @staticmethod
    def forward(
        logits: torch.Tensor, gradient: torch.Tensor, factor: torch.Tensor, integers: torch.Tensor, options: Options
    ) -> torch.Tensor:
        return gradient.clone()  # of an alias, forward mode would lose the tangent

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        logits, _, factor, integers, ctx.options = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(logits, factor, integers)
        ctx.save_for_forward(logits, factor, integers)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if upstream is None:
            return (None,) * 5
        logits, factor, integers = ctx.saved_tensors
        product = _multiply_hessian(ctx.options, logits, upstream, factor, integers)
        return product.to(logits.dtype), None, None, None, None

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, direction: torch.Tensor | None, *_: Any) -> torch.Tensor | None:
        if direction is None:
            return None
        logits, factor, integers = ctx.saved_primals
        return _multiply_hessian(ctx.options, logits, direction.to(factor.dtype), factor, integers)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[torch.Tensor, int]:
        many = info.batch_size
        merged = merge_batches(many, in_dims[:-1], arguments[:-1])
        return split_batches(many, Gradients.apply(*merged, arguments[-1])), 0


def as_tensors(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x if x is None or isinstance(x, torch.Tensor) else torch.as_tensor(x) for x in arguments)


def _multiply_hessian(
    options: Options, logits: torch.Tensor, direction: torch.Tensor, factor: torch.Tensor, integers: torch.Tensor
) -> torch.Tensor:
    weights = factor[:, :1].sum(1)  # 0 for a row without frames
    return multiply_hessian(
        logits, direction, integers[:, 2:], integers[:, 0], integers[:, 1], weights,
        options.blank % logits.shape[2], options.normalize, options.gradient,
    )  # fmt: skip
