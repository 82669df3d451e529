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

from seqloss.kernels.triton import _compat

_compiled: dict[tuple[Any, ...], Any] = {}
"""By kernel, device, and all that Triton compiles anew for."""


_NO_CHANGE = nullcontext()


class Launch(NamedTuple):
    """A kernel that was started: a compiled one and its programs, tensors and numbers, and constants."""

    kernel: Any
    programs: int
    args: tuple[Any, ...]
    constants: tuple[Any, ...]


class _Recording(threading.local):
    launches: list[Launch] | None = None


_recording = _Recording()


@contextmanager
def record_launches() -> Iterator[list[Launch]]:
    """A list of what this thread starts meanwhile; what runs in the interpreter is not in it."""
    launches: list[Launch] = []
    _recording.launches = launches
    try:
        yield launches
    finally:
        _recording.launches = None


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the current one, which is where Triton starts kernels."""
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return _NO_CHANGE
    return torch.cuda.device(device)


def launch_kernel(
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
    if not _compat.is_compiled(kernel):  # in the interpreter
        kernel[(programs,)](*args, **constants)
        return
    kinds, values = specialize_arguments(args)
    key = (id(kernel), _compat.current_device(), warps, registers, kinds, *constants.values())
    found = _compiled.get(key)
    if found is None:
        assert _compat.argument_names(kernel)[len(args) :] == list(constants)
        found = _compat.compile_and_launch(kernel, programs, args, constants, warps=warps, registers=registers)
        if found is None:
            return
        _compiled[key] = found
    else:
        _compat.launch_compiled(found, programs, values, constants.values())
    if _recording.launches is not None:
        _recording.launches.append(Launch(found, programs, args, tuple(constants.values())))


def specialize_arguments(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
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
