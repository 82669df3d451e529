"""The examples in the docstrings of `seqloss.doctor`, and of `seqloss` itself, run and give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import seqloss.doctor

MODULES = ["seqloss", *(module.name for module in pkgutil.walk_packages(seqloss.doctor.__path__, "seqloss.doctor."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
