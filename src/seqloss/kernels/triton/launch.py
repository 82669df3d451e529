"""Kernel launches on the device of the tensors and its current stream, with a cache of compiled kernels.

For each launch, Triton looks up which compiled kernel fits the arguments: it specialises for types, for pointers and
integers that are multiples of 16, and for the integer 1. In Python this takes some 100 µs, more than most of these
kernels. Here the same properties are read in a few µs, and the compiled kernel is launched directly once Triton has
found it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch

from seqloss.kernels.triton import _compat

_compiled: dict[tuple[Any, ...], Any] = {}
"""Compiled kernels by kernel, device, options, and all that Triton specialises for."""


_NO_CHANGE = nullcontext()


class Launch(NamedTuple):
    """A recorded launch: the compiled kernel, the number of programs, the arguments, and the constants."""

    kernel: Any
    programs: int
    args: tuple[Any, ...]
    constants: tuple[Any, ...]


class _Recording(threading.local):
    launches: list[Launch] | None = None


_recording = _Recording()


@contextmanager
def record_launches() -> Iterator[list[Launch]]:
    """Record the launches of this thread; those in the interpreter are not recorded."""
    launches: list[Launch] = []
    _recording.launches = launches
    try:
        yield launches
    finally:
        _recording.launches = None


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the current one: Triton launches kernels there."""
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return _NO_CHANGE
    return torch.cuda.device(device)


def launch_kernel(
    kernel: Any, programs: int, *args: Any, warps: int = 4, registers: int | None = None, **constants: Any
) -> None:
    """Launch a kernel on a grid with one axis.

    The compiler does not fuse multiplications and additions, except where the source uses `tl.fma`. So the roundings
    do not depend on the block size.

    Args:
        args: tensors, integers, floats or None, in the kernel's order.
        registers: the most registers of a thread; None for no limit.
        constants: the remaining arguments of the kernel, all of them, in its order.
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
    """A key that differs whenever Triton specialises differently, and the arguments with addresses for tensors."""
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
