"""Numba's private interfaces are where `seqloss.kernels.numba._compat` expects them."""

from __future__ import annotations

import inspect

import pytest
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.dispatcher import Dispatcher

MOVED = "Numba has moved what seqloss.kernels.numba._compat stands on"


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (JITCodeLibrary, ("_optimize_final_module", "_finalize_final_module", "_ensure_finalized", "codegen")),
        (Compiler, ("compile_extra",)),
        (caching._CacheLocator, ("get_cache_path", "get_source_stamp", "get_disambiguator", "from_function")),
        (caching.CompileResultCacheImpl, ("_locator_classes",)),
        (caching.FunctionCache, ("_impl_class", "load_overload", "flush", "_guard_against_spurious_io_errors")),
        (Dispatcher, ("get_call_template",)),
    ],
)
def test_what_is_overridden_is_there(owner: type, names: tuple[str, ...]) -> None:
    assert [name for name in names if not hasattr(owner, name)] == [], MOVED


def test_a_dispatcher_looks_for_its_cache_where_ours_is_attached() -> None:
    assert "self._cache.load_overload" in inspect.getsource(Dispatcher.compile), MOVED


def test_the_final_module_of_a_library_is_marked_as_finalized_by_this_name() -> None:
    assert "_finalized = True" in inspect.getsource(JITCodeLibrary._finalize_final_module) or "_finalized = True" in (
        inspect.getsource(JITCodeLibrary.finalize)
    ), MOVED
