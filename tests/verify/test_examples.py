"""The examples in the docstrings run, and each public function has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

from seqloss import verify

MODULES = [module.name for module in pkgutil.walk_packages(verify.__path__, f"{verify.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("name", [name for name in verify.__all__ if inspect.isfunction(getattr(verify, name))])
def test_every_public_function_has_an_example(name: str) -> None:
    assert ">>>" in inspect.getdoc(getattr(verify, name))
