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
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching

OPTIONS = {"error_model": "numpy", "_nrt": False}
"""No fastmath; and no reference counts, which cost a fifth of a small batch: a kernel allocates nothing, and who calls
it keeps its arrays."""

part = njit(no_cpython_wrapper=True, **OPTIONS)
"""For a kernel's larger parts."""

inlined = njit(no_cpython_wrapper=True, forceinline=True, **OPTIONS)
"""For its small ones: compiled into their callers."""


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
                "seqloss: compiling a CPU kernel for this machine, once (10 to 20 s) ...",
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
