"""Numba's private interfaces that compilation depends on; `tests/kernels/numba/test_compat.py` fails when one moves.

* `numba.core.codegen.JITCodeLibrary` and `numba.core.compiler.Compiler`: code that is linked into its callers alone.
* `numba.core.caching`: a disk cache whose key is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numba import njit, types
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

CacheLocator = caching._CacheLocator
CacheImplementation = caching.CompileResultCacheImpl
FunctionCache = caching.FunctionCache


class _SubroutineLibrary(JITCodeLibrary):
    """Code that is linked into its callers alone.

    It is optimised together with its callers and never becomes machine code by itself. Numba would do that again for
    each level of calls, which takes a fifth of the compile time.
    """

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True

    def get_pointer_to_function(self, name):
        self._ensure_finalized()
        return 0

    @property
    def codegen(self):
        return self

    def set_env(self, name, environment):
        pass


class _SubroutineCompiler(Compiler):
    def compile_extra(self, function):
        self.state.library = _SubroutineLibrary(self.state.targetctx.codegen(), function.__qualname__)
        return super().compile_extra(function)


def compile_subroutine(function: Callable, **options: Any) -> Any:
    """A dispatcher whose code is linked into its callers alone."""
    dispatcher = njit(no_cpython_wrapper=True, pipeline_class=_SubroutineCompiler, **options)(function)
    resolve = dispatcher.get_call_template

    def resolve_any(arguments: Iterable[types.Type], keywords: dict[str, types.Type]) -> Any:
        """A constant argument counts as its type: the subroutine is not compiled anew for each constant."""
        return resolve(tuple(map(types.unliteral, arguments)), keywords)

    dispatcher.get_call_template = resolve_any
    return dispatcher


def attach_cache(dispatcher: Any, found: FunctionCache) -> None:
    """Let a dispatcher look for its compiled code in this cache."""
    dispatcher._cache = found
