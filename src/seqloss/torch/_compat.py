"""The private interfaces of PyTorch that this package uses, one function each.

`tests/torch/test_compat.py` fails if a release moves one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., object])


def constant_for_dynamo(function: Function) -> Function:
    """Do what `torch.compiler.assume_constant_result` does, without importing the compiler.

    Uses the attribute _dynamo_marked_constant.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def is_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor is batched by `torch.vmap` or by `torch.autograd.grad(..., is_grads_batched=True)`.

    Uses torch._C._functorch.is_batchedtensor and is_legacy_batchedtensor; autograd's own vmap is the legacy one.
    """
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)


def is_legacy_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor is batched by autograd's own vmap, for which a Function has no rule.

    Uses torch._C._functorch.is_legacy_batchedtensor.
    """
    return torch._C._functorch.is_legacy_batchedtensor(tensor)


def transforms_are_active() -> bool:
    """Whether the call is inside a transform of torch.func.

    Uses torch._C._are_functorch_transforms_active.
    """
    return torch._C._are_functorch_transforms_active()


def is_in_dual_level() -> bool:
    """Whether the call is inside torch.autograd.forward_ad.dual_level.

    Uses torch.autograd.forward_ad._current_level.
    """
    return torch.autograd.forward_ad._current_level >= 0


def needs_graph() -> bool:
    """Whether what a backward computes must have derivatives of its own: in reverse mode, or in forward mode."""
    return torch.is_grad_enabled() or is_in_dual_level()


@constant_for_dynamo
def differentiating_transform() -> str:
    """The name of a transform around the call that differentiates: "grad", "jvp" or "dual_level"; or "".

    Uses torch._C._functorch.get_interpreter_stack.
    """
    kinds = [str(one.key()).rpartition(".")[2].lower() for one in torch._C._functorch.get_interpreter_stack() or []]
    differentiating = [kind for kind in kinds if kind in ("grad", "jvp")]
    return differentiating[-1] if differentiating else "dual_level" if is_in_dual_level() else ""


def has_tangent(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a dual tensor of forward-mode differentiation.

    Uses torch.autograd.forward_ad._current_level.
    """
    forward_ad = torch.autograd.forward_ad
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None


def forward_rule(rule: Function) -> Function:
    """Decorate the `jvp` of an autograd Function, so that forward mode can be nested.

    PyTorch switches forward mode off in a `jvp`, also for the transforms around it: torch.func.jvp of torch.func.jvp
    would silently be 0. This switches it on, and takes the tangents of this `jvp`'s own level off the saved tensors.

    Uses torch.autograd.forward_ad._set_fwd_grad_enabled.
    """

    @wraps(rule)
    def jvp(ctx: Any, *tangents: Any) -> Any:
        if not transforms_are_active():  # torch.autograd.forward_ad cannot be nested
            ctx.saved_primals = ctx.saved_tensors
            return rule(ctx, *tangents)
        with torch.autograd.forward_ad._set_fwd_grad_enabled(True):
            ctx.saved_primals = tuple(map(_primal, ctx.saved_tensors))
            return rule(ctx, *map(_primal, tangents))

    return jvp  # type: ignore[return-value]


def _primal(tensor: Any) -> Any:
    return torch.autograd.forward_ad.unpack_dual(tensor).primal if isinstance(tensor, torch.Tensor) else tensor


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether a tensor is inside a torch.func transform.

    Uses torch._C._functorch.is_functorch_wrapped_tensor.
    """
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def graph_is_kept() -> bool:
    """Whether the running backward keeps its graph (`retain_graph=True`).

    Uses torch._C._autograd._get_current_graph_task_keep_graph.
    """
    return torch._C._autograd._get_current_graph_task_keep_graph()


def is_recorded() -> bool:
    """Whether `make_fx` is recording operators.

    Uses torch.fx.experimental.proxy_tensor.get_proxy_mode; nothing is recorded before that module is imported.
    """
    module = sys.modules.get("torch.fx.experimental.proxy_tensor")
    return module is not None and module.get_proxy_mode() is not None


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor has no values: a FakeTensor, or any tensor under a FakeTensorMode.

    Uses torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey.FAKE and torch._subclasses.FakeTensor.
    """
    key = torch._C._TorchDispatchModeKey.FAKE
    return torch._C._get_dispatch_mode(key) is not None or isinstance(tensor, torch._subclasses.FakeTensor)


def dispatches_operators(value: Any) -> bool:
    """Whether a value is a tensor of a class that decides what an operator does with it (`__torch_dispatch__`).

    Uses torch._C._disabled_torch_dispatch_impl.
    """
    kind = type(value)
    return (
        kind is not torch.Tensor
        and issubclass(kind, torch.Tensor)
        and kind.__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl
    )


def foreach(operation: str) -> Callable[..., Any]:
    """An operation on lists of tensors, such as "mul_": one launch for all tensors of a device and type.

    Uses torch._foreach_OPERATION.
    """
    return getattr(torch, f"_foreach_{operation}")
