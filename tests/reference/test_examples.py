"""The examples in the docstrings run, and each public function has one."""

import doctest
import importlib
import pkgutil

import pytest

from seqloss import reference

MODULES = [f"{reference.__name__}.{module.name}" for module in pkgutil.iter_modules(reference.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name: str) -> None:
    module = importlib.import_module(name)
    own = [value for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    functions = [f for f in own if getattr(f, "__module__", "") == name and not isinstance(f, type)]
    assert [f.__name__ for f in functions if ">>>" not in (f.__doc__ or "")] == []
