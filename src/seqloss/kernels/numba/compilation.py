"""How a kernel is compiled.

`kernel` is for what Python calls, `part` and `inlined` for what a kernel calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from numba import njit

from seqloss.kernels.numba import kernel_cache
from seqloss.kernels.numba._compat import attach_cache, compile_subroutine

OPTIONS = {"error_model": "numpy", "_nrt": False, "no_rewrites": True, "no_cfunc_wrapper": True}
"""No fastmath; and no reference counts, which cost a fifth of a small batch: a kernel allocates nothing, and who calls
it keeps its arrays. No search for array expressions, which no kernel has, and no entry for C: a sixth of the time to
compile."""


def subroutine(function: Callable, **options: Any) -> Any:
    """For a kernel's larger parts."""
    return compile_subroutine(function, **OPTIONS, **options)


def inlined(function: Callable) -> Any:
    """For its small ones: compiled into their callers."""
    return subroutine(function, forceinline=True)


def kernel(function: Callable) -> Callable:
    """Compile a kernel's entry on its first call: without the GIL, without fastmath, from the disk if it is there."""

    @cache
    def compiled() -> Callable:
        dispatcher = njit(nogil=True, **OPTIONS)(function)
        if kernel_cache.folder_of(function) is not None:
            attach_cache(dispatcher, kernel_cache.KernelCache(function))
        return dispatcher

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return compiled()(*arguments)

    return call
