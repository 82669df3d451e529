"""What traces programs, and what is not to be traced.

The CPU's kernels are compiled by Numba and read memory: nothing that records PyTorch's operators sees what they do.
`torch.compile` calls such a function between two graphs. A tracer that makes one program of it all would record the
result as a constant, so it is refused.
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
"""The functions that torch.compile calls as they are, by name; `untraced` makes them so."""


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """A function that torch.compile does not look into: its graph ends before the call, another one begins after it.

    `torch.compiler.disable` imports the whole compiler, two seconds, so that waits until something compiles.
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
    """Whether a program is being recorded in which an operator can stand for the kernels.

    Raises:
        RuntimeError: torch.jit.trace is recording it.
    """
    if torch.compiler.is_compiling():
        return True
    if torch.jit.is_tracing():
        raise recording_error(name, "torch.jit.trace")
    return is_recorded() or is_fake(logits)


def refuse_tracing(name: str, x: torch.Tensor) -> None:
    """Raise where the result would become a constant of a recorded program, or where there are no numbers.

    Raises:
        RuntimeError: says what to do instead.
    """
    if torch.jit.is_tracing():
        raise recording_error(name, "torch.jit.trace")
    if torch.compiler.is_exporting():
        raise recording_error(name, "torch.export")
    if is_recorded():
        raise recording_error(name, "make_fx")
    if is_fake(x):
        raise RuntimeError(
            f"{name}: found a fake tensor, expected one with numbers, which its kernel for these scores reads; "
            f"call {name} on a real tensor, outside FakeTensorMode."
        )


def recording_error(name: str, tracer: str) -> RuntimeError:
    return RuntimeError(
        f"{name} cannot be recorded by {tracer}: it would become a constant, the same for every input. "
        f"Trace the network alone and call {name} on its output; torch.compile takes both together."
    )
