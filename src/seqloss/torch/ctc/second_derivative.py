"""The Hessian-vector product of CTC for tensors: by the CPU kernel, elsewhere by the formula.

`multiply_hessian` is what backward and forward mode use. It is linear in its direction and symmetric, so that its
derivative with respect to the direction is itself. Its derivative with respect to the logits would be a third
derivative of the loss, and raises.
"""

from __future__ import annotations

from typing import Any

import torch

from seqloss import contract
from seqloss.errors import ShapeError
from seqloss.formulas.ctc import second_derivative as formula
from seqloss.kernels.ctc.batch import multiply_hessian as multiply_hessian_on_host
from seqloss.torch._compat import forward_rule, is_legacy_batched
from seqloss.torch.arrays import integers_to_numpy, tensor_to_numpy
from seqloss.torch.last_derivative import refuse_derivative
from seqloss.torch.namespace import TorchNamespace
from seqloss.torch.tracing import has_no_values

GRADIENTS: tuple[formula.Gradient, ...] = ("softmax", "posterior", "exp")
"""By the codes of `seqloss.kernels.ctc.second_derivative`."""


def multiply_hessian(logits: torch.Tensor, direction: torch.Tensor, *rest: Any) -> torch.Tensor:
    """Return the derivative of each row's gradient in a direction, times the row's weight.

    Args:
        logits: (batch, time, classes).
        direction: of the same shape, float32 or float64, the type that is computed in.
        rest: see `ctc_hessian_product`.

    Returns:
        The product, in the shape and type of the direction.
    """
    if is_legacy_batched(direction) or is_legacy_batched(logits):  # a Function has no rule for these
        product: torch.Tensor = ctc_hessian_product(logits, direction, *rest)
        return product
    guard = refuse_derivative(logits, NO_THIRD_DERIVATIVE)
    return _HessianProduct.apply(guard, logits.detach(), direction, *rest)


@torch.library.custom_op("seqloss::ctc_hessian_product", mutates_args=())
def ctc_hessian_product(
    logits: torch.Tensor, direction: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, weights: torch.Tensor, blank: int, normalize: bool, gradient: int,
) -> torch.Tensor:  # fmt: skip
    """The product as an operator, for compilers and for batched gradients.

    Args:
        targets, logit_lengths, target_lengths: as in `seqloss.torch.ctc_loss`, integers on the device of the logits.
        weights: (batch,), the weight of each row in the loss.
        blank: from 0.
        normalize: as in the contract.
        gradient: an index of `GRADIENTS`.
    """
    return _compute(
        logits, direction, targets, logit_lengths, target_lengths, weights, blank, normalize, gradient
    )  # fmt: skip


def _compute(
    logits: torch.Tensor, direction: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, weights: torch.Tensor, blank: int, normalize: bool, gradient: int,
) -> torch.Tensor:  # fmt: skip
    logits, direction = logits.detach().to(direction.dtype), direction.detach()
    if not logits.numel():
        return torch.zeros_like(direction, memory_format=torch.contiguous_format)
    if logits.is_cpu:
        given = map(integers_to_numpy, (targets, logit_lengths, target_lengths))
        batch = contract.validate(tuple(logits.shape), *given, blank=blank, values=False)
        product = multiply_hessian_on_host(
            tensor_to_numpy(logits), batch, tensor_to_numpy(direction), normalize=normalize, gradient=gradient,
            weights=tensor_to_numpy(weights.detach()),
        )  # fmt: skip
        return torch.from_numpy(product)
    return weights[:, None, None] * _compute_by_formula(
        logits, direction, targets, logit_lengths, target_lengths, blank, normalize, gradient
    )


def _compute_by_formula(
    logits: torch.Tensor, direction: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, blank: int, normalize: bool, gradient: int,
) -> torch.Tensor:  # fmt: skip
    from seqloss.torch.ctc.device_arguments import pad_rows

    batch, time, _ = logits.shape
    if targets.ndim == 1:
        assert target_lengths is not None
        targets, target_lengths = pad_rows(targets, target_lengths, time)
    frames, labels = (
        torch.full((batch,), whole, dtype=torch.int32, device=logits.device) if lengths is None else lengths.int()
        for lengths, whole in ((logit_lengths, time), (target_lengths, targets.shape[1]))
    )
    targets = torch.nn.functional.pad(_as_int32(targets), (0, int(targets.shape[1] == 0)))
    return formula.hessian_vector_product(
        TorchNamespace(logits.device), logits, targets, frames, labels, direction, blank=blank, normalize=normalize,
        gradient=GRADIENTS[gradient],
    )  # fmt: skip


def _as_int32(labels: torch.Tensor) -> torch.Tensor:
    """Labels as int32; one that does not fit is -1, which is no class."""
    labels = labels.to(torch.int64)
    return torch.where((labels < 0) | (labels >= 2**31), -1, labels).to(torch.int32)


@ctc_hessian_product.register_fake
def _(logits: torch.Tensor, direction: torch.Tensor, *rest: Any) -> torch.Tensor:
    return torch.empty_like(direction, memory_format=torch.contiguous_format)


@ctc_hessian_product.register_vmap
def _vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[torch.Tensor, int]:
    many = info.batch_size
    merged = merge_batches(many, in_dims, arguments)
    return split_batches(many, ctc_hessian_product(*merged)), 0


def _save(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    logits, _, targets, logit_lengths, target_lengths, weights, *ctx.options = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(logits, targets, logit_lengths, target_lengths, weights)
    ctx.save_for_forward(logits, targets, logit_lengths, target_lengths, weights)


def _backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[Any, ...]:
    if upstream is None:
        return (None,) * 9
    if ctx.needs_input_grad[0]:
        raise RuntimeError(NO_THIRD_DERIVATIVE)
    logits, *rest = ctx.saved_tensors
    return None, multiply_hessian(logits, upstream, *rest, *ctx.options), *(None,) * 7


ctc_hessian_product.register_autograd(_backward, setup_context=_save)


class _HessianProduct(torch.autograd.Function):
    """The product; `guard` is of `refuse_derivative`, the logits are detached."""

    @staticmethod
    def forward(guard: torch.Tensor, *arguments: Any) -> torch.Tensor:
        product: torch.Tensor = (ctc_hessian_product if has_no_values(arguments[0]) else _compute)(*arguments)
        return product

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        guard, *arguments = inputs
        _save(ctx, tuple(arguments), output)
        ctx.guard_shape = guard.shape

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None) -> tuple[Any, ...]:
        if upstream is None:
            return (None,) * 10
        logits, *rest = ctx.saved_tensors
        product = multiply_hessian(logits, upstream, *rest, *ctx.options)
        return upstream.new_zeros(ctx.guard_shape), None, product, *(None,) * 7

    @staticmethod
    @forward_rule
    def jvp(ctx: Any, guard: Any, logits: Any, direction: torch.Tensor | None, *_: Any) -> torch.Tensor | None:
        if direction is None:
            return None
        saved, *rest = ctx.saved_primals
        return multiply_hessian(saved, direction, *rest, *ctx.options)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[torch.Tensor, int]:
        many = info.batch_size
        merged = merge_batches(many, in_dims, arguments)
        return split_batches(many, _HessianProduct.apply(*merged)), 0


NO_THIRD_DERIVATIVE = (
    "ctc_loss has no third derivative: its second derivative is being differentiated with respect to the logits; "
    "detach the second derivative, or compute it without create_graph=True and outside of forward_ad.dual_level."
)


def merge_batches(many: int, in_dims: Any, arguments: tuple[Any, ...]) -> list[Any]:
    """Merge the axis of vmap with the batch axis: (many, batch, ...) becomes (many * batch, ...).

    Args:
        many: the size of the axis of vmap.
        in_dims: the axis of each argument, None for an argument that all share.
        arguments: tensors with a batch axis, or of concatenated rows; or no tensors.
    """
    refuse_empty_axis(many)
    merged = []
    for argument, axis in zip(arguments, in_dims, strict=True):
        if not isinstance(argument, torch.Tensor):
            merged.append(argument)
            continue
        whole = argument.movedim(axis, 0) if isinstance(axis, int) else argument.expand(many, *argument.shape)
        merged.append(whole.reshape(many * whole.shape[1], *whole.shape[2:]))
    return merged


def split_batches(many: int, result: torch.Tensor) -> torch.Tensor:
    """Undo `merge_batches` for a result: (many * batch, ...) becomes (many, batch, ...)."""
    return result.reshape(many, result.shape[0] // many, *result.shape[1:])


def refuse_empty_axis(many: int) -> None:
    """Raise for an axis of vmap without entries: the shape of the result would be lost in the merged batch."""
    if many == 0:
        raise ShapeError("vmap: found an axis of size 0, expected at least one batch; leave out the call.")
