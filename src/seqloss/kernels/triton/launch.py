"""How a kernel starts: on the tensors' own device, on whatever stream is current there, without being looked up anew.

Triton finds out with every launch which of its compiled kernels goes with these arguments: it compiles anew for another
type, for a pointer or number that 16 divides, and for the number 1. That takes Python some 100 µs, more than most of
these kernels take. Here the same is asked in a few, and the compiled kernel, once Triton has found it, is started as it
is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from triton.runtime import driver
from triton.runtime.jit import JITFunction

_compiled: dict[tuple[Any, ...], Any] = {}
"""By kernel, device, and all that Triton compiles anew for."""


_AS_IT_IS = nullcontext()


class Launch(NamedTuple):
    """A kernel that was started: a compiled one and its programs, tensors and numbers, and constants."""

    kernel: Any
    programs: int
    args: tuple[Any, ...]
    constants: tuple[Any, ...]


class _Recorded(threading.local):
    launches: list[Launch] | None = None


_recorded = _Recorded()


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """A list of what this thread starts meanwhile; what runs in the interpreter is not in it."""
    launches: list[Launch] = []
    _recorded.launches = launches
    try:
        yield launches
    finally:
        _recorded.launches = None


def on(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the current one, which is where Triton starts kernels."""
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return _AS_IT_IS
    return torch.cuda.device(device)


def start(
    kernel: Any, programs: int, *args: Any, warps: int = 4, registers: int | None = None, **constants: Any
) -> None:
    """Start a kernel of one axis of programs.

    No multiplication is fused with an addition but where the source says so: each rounding is where it has it, whatever
    a block's size, so that no bit depends on it.

    Args:
        args: tensors, whole numbers, float numbers or None, in the kernel's order.
        registers: of a thread, at the most; None for as many as the compiler likes.
        constants: what follows them in the kernel, all of it, in order.
    """
    if not isinstance(kernel, JITFunction):  # in the interpreter
        kernel[(programs,)](*args, **constants)
        return
    kinds, values = looked_at(args)
    key = (id(kernel), driver.active.get_current_device(), warps, registers, kinds, *constants.values())
    found = _compiled.get(key)
    if found is None:
        assert kernel.arg_names[len(args) :] == list(constants)
        found = kernel[(programs,)](*args, **constants, num_warps=warps, maxnreg=registers, enable_fp_fusion=False)
        if found is None:
            return
        _compiled[key] = found
    else:
        found[(programs, 1, 1)](*values, *constants.values())
    if _recorded.launches is not None:
        _recorded.launches.append(Launch(found, programs, args, tuple(constants.values())))


def looked_at(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """What Triton compiles anew for, if not more; and the arguments as a compiled kernel takes them, tensors as their
    addresses."""
    kinds: list[Any] = []
    values: list[Any] = []
    for value in args:
        if isinstance(value, torch.Tensor):
            value, kind = value.data_ptr(), value.dtype
            kinds += (kind, value & 15 == 0)
        elif isinstance(value, int):
            kinds.append(1 if value == 1 else (value & 15 == 0, -(2**31) <= value < 2**31))
        else:
            kinds.append(type(value))
        values.append(value)
    return tuple(kinds), values
