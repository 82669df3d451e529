"""Calls of a model that nothing else notices: not the model, not the loss, not the other processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode

from seqloss.doctor.batches.parts import map_batch
from seqloss.doctor.snapshot import ModuleState, unchanged_by_calls
from seqloss.doctor.subject import Loss, NotChecked
from seqloss.doctor.watching.outside import Outside

_depth = 0
_met: WeakKeyDictionary[nn.Module, WeakSet[nn.Module]] = WeakKeyDictionary()


def is_apart() -> bool:
    """Whether a watch calls a model now: of any watch of this process, since a loss may call several models."""
    return _depth > 0


def world() -> int:
    """Processes that train together."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def is_compiled(model: nn.Module) -> bool:
    """Whether torch.compile has been used on a part of the model."""
    return any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in model.modules())


def is_sharded(model: nn.Module) -> bool:
    """Whether each process has a part of the weights only, so that a call of the model needs all of them."""
    kinds = {type(one).__name__ for one in [*model.modules(), *model.parameters()]}
    return world() > 1 and bool(kinds & {"DTensor", "FullyShardedDataParallel"})


@contextmanager
def apart(whole: nn.Module, loss: Loss, *, eager: bool = True) -> Iterator[None]:
    """Put back what calls change: the model, others that the loss calls, its own variables, random states.

    Args:
        whole: the model.
        loss: that is called.
        eager: whether compiled models are run as they are written, so that nothing is compiled for other shapes; their
            random numbers can be others.

    Raises:
        NotChecked: the processes of a training would have to talk to each other. A look must never do so: they look at
            different steps, or one of them not at all, and would wait for each other for ever.
    """
    global _depth
    variables, others = Outside(loss), _Others(whole)
    with ExitStack() as stack:
        stack.callback(variables.restore)
        stack.enter_context(unchanged_by_calls(whole))
        stack.callback(others.restore)  # before the model, which another module may hold
        silence(whole)
        if eager:
            stack.callback(register_module_forward_pre_hook(others.see).remove)
        if eager and "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if world() > 1:
            stack.enter_context(_NoTalk())
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


class _Others:
    """Modules outside of the model that a loss calls, such as the generator of a GAN; kept before their first call.

    They are seen by a hook on all modules, and known afterwards: with the hook, models would be compiled again.
    """

    def __init__(self, whole: nn.Module) -> None:
        self.met = _met.setdefault(whole, WeakSet())
        self.known = {id(module) for module in whole.modules()}
        self.states: list[ModuleState] = []
        for module in list(self.met):
            self.see(module, None)

    def see(self, module: nn.Module, inputs: Any) -> None:
        if id(module) not in self.known:
            self.known |= {id(one) for one in module.modules()}
            self.met.add(module)
            self.states.append(ModuleState(module))
            silence(module)

    def restore(self) -> None:
        for state in self.states:
            state.restore()


def silence(whole: nn.Module) -> None:
    """Let data-parallel models call what they hold: they neither send buffers nor prepare to average gradients.

    The attribute that this sets is taken away with the state of the modules.
    """
    for module in whole.modules():
        if isinstance(module, DistributedDataParallel):
            vars(module)["forward"] = partial(_call_held, module)


def _call_held(parallel: DistributedDataParallel, *inputs: Any, **named: Any) -> Any:
    """On its device, to which it moves the inputs."""
    if parallel.device_ids:
        device = torch.device(parallel.device_type, parallel.device_ids[0])
        inputs, named = map_batch((inputs, named), lambda _, part: part.to(device) if torch.is_tensor(part) else part)
    return parallel.module(*inputs, **named)


class _NoTalk(TorchDispatchMode):
    """Refuses collective operations."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation.namespace in ("c10d", "_c10d_functional", "_c10d_functional_autograd"):
            raise NotChecked(f"model or loss talk to the other processes ({operation}), which may not look now")
        return operation(*args, **(kwargs or {}))
