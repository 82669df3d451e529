"""How functions that call a CPU kernel behave under PyTorch's tracers.

The CPU kernels are compiled by Numba and read memory. A tracer that records PyTorch's operators does not see what they
do. `torch.compile` calls such a function between two graphs. A tracer that makes a single program would record the
result as a constant, so these functions raise an error under it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from seqloss.torch._compat import is_fake, is_recorded

P = ParamSpec("P")
R = TypeVar("R")

UNTRACED: dict[str, Callable[..., object]] = {}
"""The functions that `untraced` decorates, by name; torch.compile does not trace them."""


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that torch.compile does not trace: a graph break before the call and after it.

    `torch.compiler.disable` imports the whole compiler, two seconds. So it is called only under compilation.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    UNTRACED[name] = function

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            from seqloss.torch import disabled

            return disabled.FUNCTIONS[name](*args, **kwargs)
        return function(*args, **kwargs)

    return call


def is_traced(name: str, logits: torch.Tensor) -> bool:
    """Whether a tracer is active under which the kernels are registered operators.

    Raises:
        RuntimeError: torch.jit.trace is active.
    """
    if torch.compiler.is_compiling():
        return True
    if torch.jit.is_tracing():
        raise recording_error(name, "torch.jit.trace")
    return has_no_values(logits)


def has_no_values(x: torch.Tensor) -> bool:
    """Whether a kernel cannot read a tensor: a tracer records what is done with it, or it is fake or on "meta"."""
    return is_recorded() or is_fake(x) or x.is_meta


def refuse_tracing(name: str, x: torch.Tensor) -> None:
    """Raise if a tracer would record the result as a constant, or if the tensor has no values.

    Raises:
        RuntimeError: with what to do instead.
    """
    if torch.jit.is_tracing():
        raise recording_error(name, "torch.jit.trace")
    if torch.compiler.is_exporting():
        raise recording_error(name, "torch.export")
    if is_recorded():
        raise recording_error(name, "make_fx")
    if is_fake(x):
        raise RuntimeError(
            f"{name}: found a fake tensor, expected one with values, which its kernel reads; "
            f"call {name} on a real tensor, outside FakeTensorMode."
        )


def recording_error(name: str, tracer: str) -> RuntimeError:
    return RuntimeError(
        f"{name} cannot be recorded by {tracer}: it would become a constant, the same for every input. "
        f"Trace the network alone and call {name} on its output; torch.compile takes both together."
    )
