"""How a kernel is compiled, kept on disk, and found again.

Numba's own disk cache looks at the modification time of the one file that a function stands in, and so would
serve a stale kernel after an edit in a file that it calls. Here every compiled function is filed under a hash
of all kernel sources; where no folder can be written, nothing is cached and everything works.

The folder is `SEQLOSS_CACHE_DIR`, else `XDG_CACHE_HOME/seqloss`, else `~/.cache/seqloss`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

OPTIONS = {"error_model": "numpy", "_nrt": False, "no_rewrites": True, "no_cfunc_wrapper": True}
"""No fastmath; and no reference counts, which cost a fifth of a small batch: a kernel allocates nothing, and who calls
it keeps its arrays. No search for array expressions, which no kernel has, and no entry for C: a sixth of the time to
compile."""


class _Part(JITCodeLibrary):
    """Code that is linked into its callers alone.

    They optimise it with their own, and it never becomes machine code by itself, which would be done again for each
    level of calls: a fifth of the time to compile.
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


class _PartCompiler(Compiler):
    def compile_extra(self, function):
        self.state.library = _Part(self.state.targetctx.codegen(), function.__qualname__)
        return super().compile_extra(function)


def part(function: Callable, **options: Any) -> Any:
    """For a kernel's larger parts."""
    dispatcher = njit(no_cpython_wrapper=True, pipeline_class=_PartCompiler, **OPTIONS, **options)(function)
    resolve = dispatcher.get_call_template

    def resolve_any(arguments: Iterable[types.Type], keywords: dict[str, types.Type]) -> Any:
        """A constant argument is one of its type, not one more reason to compile the part."""
        return resolve(tuple(map(types.unliteral, arguments)), keywords)

    dispatcher.get_call_template = resolve_any
    return dispatcher


def inlined(function: Callable) -> Any:
    """For its small ones: compiled into their callers."""
    return part(function, forceinline=True)


def kernel(function: Callable) -> Callable:
    """Compile a kernel's entry on its first call: without the GIL, without fastmath, from the disk if it is there."""

    @cache
    def compiled() -> Callable:
        dispatcher = njit(nogil=True, **OPTIONS)(function)
        if _folder() is not None:
            dispatcher._cache = _KernelCache(function)
        return dispatcher

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return compiled()(*arguments)

    return call


@cache
def source_hash() -> str:
    """A hash over the sources of all kernels."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _folder() -> Path | None:
    """The writable folder for compiled kernels, or None."""
    base = os.environ.get("SEQLOSS_CACHE_DIR")
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        folder = (Path(base) if base else Path(home) / "seqloss") / f"kernels-{source_hash()}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


class _Locator(caching._CacheLocator):
    def __init__(self, function):
        self.line = function.__code__.co_firstlineno

    def get_cache_path(self):
        return str(_folder())

    def get_source_stamp(self):
        return source_hash()

    def get_disambiguator(self):
        return str(self.line)

    @classmethod
    def from_function(cls, function, file):
        return cls(function)


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _KernelCache(caching.FunctionCache):
    """Numba's cache in our folder; a full disk or a torn file costs a compilation, never an error."""

    _impl_class = _Implementation

    def load_overload(self, sig, target_context):
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # whatever a torn file does to its reader, the kernel can be compiled again
            self.flush()
            found = None
        if found is None:
            print(
                "seqloss: compiling a CPU kernel for this machine, once (10 to 30 s) ...",
                file=sys.stderr,
                flush=True,
            )
        return found

    @contextmanager
    def _guard_against_spurious_io_errors(self):
        try:
            yield
        except OSError:
            return
