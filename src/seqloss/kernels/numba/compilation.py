"""How a kernel is compiled.

`kernel` is for functions that Python calls, `subroutine` and `inlined` for functions that a kernel calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from numba import njit

from seqloss.kernels.numba import kernel_cache
from seqloss.kernels.numba._compat import attach_cache, compile_subroutine

OPTIONS = {"error_model": "numpy", "_nrt": False, "no_rewrites": True, "no_cfunc_wrapper": True}
"""No fastmath. No reference counts, which cost a fifth of a small batch: a kernel allocates nothing, and its caller
keeps the arrays alive. No search for array expressions, which no kernel has, and no entry for C: a sixth of the compile
time."""


def subroutine(function: Callable, **options: Any) -> Any:
    """Compile a function that kernels call."""
    return compile_subroutine(function, **OPTIONS, **options)


def inlined(function: Callable) -> Any:
    """Compile a small function that is always inlined into its callers."""
    return subroutine(function, forceinline=True)


def kernel(function: Callable) -> Callable:
    """Compile a function that Python calls, on its first call, or load it from the disk cache; it releases the GIL."""

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
