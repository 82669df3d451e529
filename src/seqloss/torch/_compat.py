"""PyTorch's private interfaces that this package stands on, one function each.

`tests/torch/test_compat.py` fails where one of them has moved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., object])


def is_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor stands for many: in `torch.vmap`, or in `torch.autograd.grad(..., is_grads_batched=True)`.

    Stands on torch._C._functorch.is_batchedtensor and is_legacy_batchedtensor; autograd's own vmap is the legacy one.
    """
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)


def is_transformed(tensor: torch.Tensor) -> bool:
    """Whether a tensor is inside one of torch.func's transforms.

    Stands on torch._C._functorch.is_functorch_wrapped_tensor.
    """
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def graph_is_kept() -> bool:
    """In a backward: whether the graph is to be gone through again, as with `retain_graph=True`.

    Stands on torch._C._autograd._get_current_graph_task_keep_graph.
    """
    return torch._C._autograd._get_current_graph_task_keep_graph()


def constant_for_dynamo(function: Function) -> Function:
    """As `torch.compiler.assume_constant_result`, without importing the compiler.

    Stands on the attribute _dynamo_marked_constant.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def is_recorded() -> bool:
    """Whether `make_fx` is recording operators.

    Stands on torch.fx.experimental.proxy_tensor.get_proxy_mode; nobody records before that module is imported.
    """
    module = sys.modules.get("torch.fx.experimental.proxy_tensor")
    return module is not None and module.get_proxy_mode() is not None


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor has no numbers: a FakeTensor, or any tensor under a FakeTensorMode.

    Stands on torch._C._get_dispatch_mode, torch._C._TorchDispatchModeKey.FAKE and torch._subclasses.FakeTensor.
    """
    key = torch._C._TorchDispatchModeKey.FAKE
    return torch._C._get_dispatch_mode(key) is not None or isinstance(tensor, torch._subclasses.FakeTensor)
