"""Compiled kernels started one after another by CUDA's own driver, their arguments laid out once.

Triton's launcher takes every argument from Python anew: 14 µs for each of these kernels on an H200's host, where the
driver itself needs 6. Here all parameters lie where the driver reads them, eight bytes for each, one for all kernels
that take the same, and between one call and the next only addresses are written anew.

Which parameters a compiled kernel has follows from Triton's signature of it, and is held against what its code
declares: where they differ there is no series.
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
"""Bytes of a parameter, by Triton's name of its type; a pointer has 8."""
TRITON_POINTERS = 2
"""Pointers behind a kernel's own parameters at the most, to memory that these kernels do not ask for."""
DECLARED = re.compile(r"\.param\s+\.[a-z]+(\d+)\b")
"""A parameter in PTX, and its bits."""
NO_CONTEXT = 201
"""CUDA_ERROR_INVALID_CONTEXT: a thread that has not met the device yet."""


class Base(NamedTuple):
    """An address: so many bytes behind one of those that a call is given."""

    number: int
    offset: int


class LaunchList:
    """Kernels to start, one after another."""

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
        self._kernels = [launch.kernel for launch in launches]  # what is forgotten is unloaded
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

    def start(self, bases: Sequence[int], device: int) -> None:
        """Start all on the device's current stream; the device is the current one.

        Args:
            bases: addresses, in the order in which the parameters number them.
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
    """The same kernels to start another time, on the current device; None where Triton's view of their parameters is
    not ours.

    Args:
        known: of each tensor's address, the number of the base that it is counted from, and its offset.
    """
    parameters = []
    for launch in launches:
        own = _parameter_words(launch, known)
        if own is None or not declares_parameters(launch.kernel, [size for size, _ in own]):
            return None
        parameters.append([word for _, word in own] + [0] * TRITON_POINTERS)
    return LaunchList(launches, parameters)


def _parameter_words(launch: Launch, known: Mapping[int, tuple[int, int]]) -> list[tuple[int, int | Base]] | None:
    """Size and value of each, in order."""
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
    """Bytes of each argument, 0 of what Triton has compiled in; None with one that is neither address nor number."""
    kinds = _compat.argument_types(kernel)
    known = {"constexpr": 0, **SIZES}
    if not all(kind in known or kind.startswith("*") for kind in kinds):
        return None
    return [known.get(kind, 8) for kind in kinds]


def declares_parameters(kernel: Any, sizes: list[int]) -> bool:
    """Whether a kernel's code declares parameters of these sizes, and behind them none but Triton's own."""
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
