"""Compiled kernels on disk.

Numba's own disk cache checks the modification time of the one file that contains the function. It would load a stale
kernel after an edit in another file that the kernel calls. Here the key is a hash of all sources from which a kernel
can be compiled: its own package with all subfolders, this package, the contract's constants, and Numba's version. After
an edit in the kernels of one loss, those of the others stay cached. If no folder is writable, nothing is cached, and
kernels are compiled in each process.

The folder is `SEQLOSS_CACHE_DIR`, else `XDG_CACHE_HOME/seqloss`, else `~/.cache/seqloss`; in it each package of kernels
has a folder of its own, named after the package and its hash.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numba

from seqloss.kernels.numba._compat import CacheImplementation, CacheLocator, FunctionCache

SHARED = ("seqloss.kernels.numba", "seqloss.contract")
"""What every kernel is compiled from, beside its own package."""


@cache
def source_hash(package: str) -> str:
    """A hash over the sources of a package of kernels, subfolders included, and of what it is compiled with."""
    digest = hashlib.sha256(numba.__version__.encode())
    for name in dict.fromkeys((package, *SHARED)):
        folder = _sources(name)
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{name}/{path.relative_to(folder).as_posix()}".encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def folder_of(function: Callable) -> Path | None:
    """The writable folder for the compiled code of a kernel, or None."""
    return _folder(package_of(function))


def package_of(function: Callable) -> str:
    """The package of a kernel's loss, the first one below `seqloss.kernels`, whatever subfolder the kernel is in."""
    return ".".join(function.__module__.split(".")[:-1][:3])


@cache
def _folder(package: str) -> Path | None:
    base = os.environ.get("SEQLOSS_CACHE_DIR")
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        folder = Path(base) if base else Path(home) / "seqloss"
        folder /= f"{package.removeprefix('seqloss.')}-{source_hash(package)}"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


class _Locator(CacheLocator):
    def __init__(self, function):
        self.function, self.line = function, function.__code__.co_firstlineno

    def get_cache_path(self):
        return str(folder_of(self.function))

    def get_source_stamp(self):
        return source_hash(package_of(self.function))

    def get_disambiguator(self):
        return str(self.line)

    @classmethod
    def from_function(cls, function, file):
        return cls(function)


class _Implementation(CacheImplementation):
    _locator_classes = (_Locator,)


class KernelCache(FunctionCache):
    """Numba's cache in our folder; a full disk or an incomplete file costs a compilation, but raises no error."""

    _impl_class = _Implementation

    def load_overload(self, sig, target_context):
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # an incomplete file may raise any error; the kernel can be compiled again
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
