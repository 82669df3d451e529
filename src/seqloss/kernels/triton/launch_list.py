"""A list of recorded kernel launches, replayed through the CUDA driver with new addresses.

Triton's launcher converts every argument from Python for each launch: 14 µs per kernel on an H200's host, where the
driver itself needs 6. Here all parameters are stored where the driver reads them, eight bytes each, and kernels with
equal parameters share them. Between two calls only addresses change.

The parameters of a compiled kernel follow from Triton's signature. They are compared with those that its PTX declares;
if they differ, nothing is replayed.
"""

from __future__ import annotations

import ctypes
import re
import struct
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch

from seqloss.kernels.triton import _compat
from seqloss.kernels.triton.launch import Launch

WARP = 32
SIZES = {"i32": 4, "u32": 4, "i64": 8, "u64": 8, "fp32": 4}
"""Bytes of a parameter by Triton's name of its type; a pointer has 8."""
TRITON_POINTERS = 2
"""The most pointers that Triton adds after a kernel's parameters, to memory that these kernels do not use."""
DECLARED = re.compile(r"\.param\s+\.[a-z]+(\d+)\b")
"""A parameter in PTX, with its bits."""
NO_CONTEXT = 201
"""CUDA_ERROR_INVALID_CONTEXT: the thread has not used the device yet."""


class Base(NamedTuple):
    """An address relative to one of the base addresses of a call: its number, and an offset in bytes."""

    number: int
    offset: int


class LaunchList:
    """Kernels to launch one after another."""

    def __init__(self, launches: Sequence[Launch], parameters: Sequence[Sequence[int | Base]]) -> None:
        used = dict.fromkeys(word for one in parameters for word in one)
        self._addresses = [word for word in used if isinstance(word, Base)]
        numbers = [word for word in used if not isinstance(word, Base)]
        words = [*self._addresses, *numbers]
        self._words = (ctypes.c_uint64 * len(words))(*[0] * len(self._addresses), *numbers)
        self._pack = struct.Struct(f"={len(self._addresses)}Q").pack_into
        self._stream, self._context, self._lock = ctypes.c_void_p(), ctypes.c_void_p(), threading.Lock()
        _check_driver("cuCtxGetCurrent", _cuda_driver().cuCtxGetCurrent(ctypes.byref(self._context)))
        start = ctypes.addressof(self._words)
        at = {word: start + 8 * place for place, word in enumerate(words)}
        # keeps the kernels alive: Triton unloads a kernel that is garbage collected
        self._kernels = [launch.kernel for launch in launches]
        self._calls = []
        for launch, own in zip(launches, parameters, strict=True):
            one = ctypes.c_uint(1)
            warps, shared_bytes = _compat.warps_and_shared_bytes(launch.kernel)
            threads, shared = ctypes.c_uint(WARP * warps), ctypes.c_uint(shared_bytes)
            grid, block = (ctypes.c_uint(launch.programs), one, one), (threads, one, one)
            pointers = (ctypes.c_void_p * len(own))(*(at[word] for word in own))
            self._calls.append(
                (
                    ctypes.c_void_p(_compat.function_handle(launch.kernel)),
                    *grid,
                    *block,
                    shared,
                    self._stream,
                    pointers,
                    None,
                )
            )

    def launch_all(self, bases: Sequence[int], device: int) -> None:
        """Launch all kernels on the current stream of the device, which must be the current device.

        Args:
            bases: the base addresses, by `Base.number`.
        """
        launch = _cuda_driver().cuLaunchKernel
        with self._lock:  # the driver has copied the parameters when it returns
            self._pack(self._words, 0, *[bases[number] + offset for number, offset in self._addresses])
            self._stream.value = _compat.current_stream(device)
            for call in self._calls:
                code = launch(*call)
                if code == NO_CONTEXT:
                    _check_driver("cuCtxSetCurrent", _cuda_driver().cuCtxSetCurrent(self._context))
                    code = launch(*call)
                if code:
                    _check_driver("cuLaunchKernel", code)


def lay_out_launches(launches: Sequence[Launch], known: Mapping[int, tuple[int, int]]) -> LaunchList | None:
    """A list that launches the same kernels again on the current device.

    Args:
        known: by the address of each tensor, the number of its base and its offset.

    Returns:
        None if the parameters that a kernel declares are not those that would be passed.
    """
    parameters = []
    for launch in launches:
        own = _parameter_words(launch, known)
        if own is None or not declares_parameters(launch.kernel, [size for size, _ in own]):
            return None
        parameters.append([word for _, word in own] + [0] * TRITON_POINTERS)
    return LaunchList(launches, parameters)


def _parameter_words(launch: Launch, known: Mapping[int, tuple[int, int]]) -> list[tuple[int, int | Base]] | None:
    """Size and value of each parameter, in order; None as for `parameter_sizes`."""
    sizes = parameter_sizes(launch.kernel)
    if sizes is None:
        return None
    found: list[tuple[int, int | Base]] = []
    for size, value in zip(sizes, (*launch.args, *launch.constants), strict=True):
        if size and isinstance(value, torch.Tensor):
            found.append((size, Base(*known[value.data_ptr()]) if value.numel() else 0))
        elif size and isinstance(value, float):
            found.append((size, struct.unpack("<I", struct.pack("<f", value))[0]))
        elif size:
            found.append((size, value % (1 << 64)))
    return found


def parameter_sizes(kernel: Any) -> list[int] | None:
    """Bytes of each argument, 0 for constants; None if an argument is neither a pointer nor a number."""
    kinds = _compat.argument_types(kernel)
    known = {"constexpr": 0, **SIZES}
    if not all(kind in known or kind.startswith("*") for kind in kinds):
        return None
    return [known.get(kind, 8) for kind in kinds]


def declares_parameters(kernel: Any, sizes: list[int]) -> bool:
    """Whether a kernel's PTX declares parameters of these sizes, followed only by Triton's own pointers."""
    if not _compat.has_plain_launch(kernel):
        return False
    _, _, entry = _compat.ptx(kernel).partition(".entry")
    declared = [int(bits) // 8 for bits in DECLARED.findall(entry.partition(")")[0])]
    return declared[: len(sizes)] == sizes and declared[len(sizes) :] in (
        [8] * more for more in range(TRITON_POINTERS + 1)
    )


@cache
def _cuda_driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _check_driver(call: str, code: int) -> None:
    if code:
        raise RuntimeError(f"CUDA's driver refused {call} with error {code}; an earlier kernel may be the cause.")
