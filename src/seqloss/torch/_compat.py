"""The private interfaces of PyTorch that this package uses, one function each.

`tests/torch/test_compat.py` fails if a release moves one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., object])


def is_batched(tensor: torch.Tensor) -> bool:
    """Whether a tensor is batched by `torch.vmap` or by `torch.autograd.grad(..., is_grads_batched=True)`.

    Uses torch._C._functorch.is_batchedtensor and is_legacy_batchedtensor; autograd's own vmap is the legacy one.
    """
    functorch = torch._C._functorch
    return functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor)


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


def constant_for_dynamo(function: Function) -> Function:
    """Do what `torch.compiler.assume_constant_result` does, without importing the compiler.

    Uses the attribute _dynamo_marked_constant.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


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
