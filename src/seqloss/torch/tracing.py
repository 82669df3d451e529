"""How functions that call a kernel behave under PyTorch's tracers.

The kernels read memory. A tracer that records PyTorch's operators does not see what they do. The losses are operators
under a tracer, see `seqloss.torch.ctc.operators`. The other functions are `untraced`: torch.compile calls them between
two graphs. A tracer that makes a single program would record their results as constants, so they raise an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import torch

from seqloss.kernels.triton.available import reason_against
from seqloss.torch._compat import dispatches_operators, is_fake, is_recorded
from seqloss.torch.untraced_functions import UNTRACED

P = ParamSpec("P")
R = TypeVar("R")


def untraced(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that torch.compile does not trace: a graph break before the call and after it.

    torch.jit.script and torch.fx.symbolic_trace refuse it.

    `torch.compiler.disable` imports the whole compiler, two seconds. So it is called only under compilation.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    UNTRACED[name] = function

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            from seqloss.torch import disabled

            return disabled.FUNCTIONS[name](*args, **kwargs)
        if any(isinstance(value, torch.fx.Proxy) for value in (*args, *kwargs.values())):
            raise recording_error(function.__name__, "torch.fx.symbolic_trace")
        return function(*args, **kwargs)

    refuse_scripting(call, function.__name__)
    return call


def recorded_by_fx(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that torch.fx.symbolic_trace records as one call, and that torch.jit.script refuses."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.fx.Proxy):
                return value.tracer.create_proxy("call_function", call, args, kwargs)  # type: ignore[return-value]
        return function(*args, **kwargs)

    refuse_scripting(call, function.__name__)
    return call


def refuse_scripting(scripted: Any, name: str) -> None:
    """Make torch.jit.script raise an error for a function, or for a function or module that calls it."""

    def prepare(*_: object) -> NoReturn:
        raise RuntimeError(
            f"{name} cannot be compiled by torch.jit.script: its kernels are no TorchScript. Script the network "
            f"alone and call {name} on its output, or take torch.compile."
        )

    scripted.__prepare_scriptable__ = prepare  # torch.jit.script calls it


def is_traced(name: str, logits: torch.Tensor, *others: Any) -> bool:
    """Whether the kernels are called as registered operators: under a tracer, or for a class that dispatches them.

    Raises:
        RuntimeError: torch.jit.trace is active.
    """
    if torch.compiler.is_compiling():
        return True
    if torch.jit.is_tracing():
        raise recording_error(name, "torch.jit.trace")
    return has_no_values(logits) or any(map(dispatches_operators, (logits, *others)))


def has_no_values(x: torch.Tensor) -> bool:
    """Whether a kernel cannot read a tensor: a tracer records what is done with it, or it is fake or on "meta"."""
    return is_recorded() or is_fake(x) or _is_meta(x)


def is_plain_meta(x: torch.Tensor) -> bool:
    """Whether a tensor is on "meta", and no tracer hides the values of the other arguments."""
    return not torch.compiler.is_compiling() and _is_meta(x) and not (is_recorded() or is_fake(x))


def _is_meta(x: Any) -> bool:
    """Whether a tensor is on "meta", and no kernel claims that device, as the tests of the Triton launches do."""
    return isinstance(x, torch.Tensor) and x.is_meta and reason_against(x.device, x.dtype) is not None


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
    if is_fake(x) or _is_meta(x):
        kind = "a fake tensor" if is_fake(x) else "a tensor on the meta device"
        raise RuntimeError(
            f"{name}: found {kind}, expected one with values, which its kernel reads; "
            f"call {name} on a real tensor, outside FakeTensorMode."
        )


def recording_error(name: str, tracer: str) -> RuntimeError:
    return RuntimeError(
        f"{name} cannot be recorded by {tracer}: it would become a constant, the same for every input. "
        f"Trace the network alone and call {name} on its output; torch.compile takes both together."
    )
