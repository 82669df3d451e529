"""The examples in the docstrings of `seqloss.keras` run and give what they show, on each backend."""

from __future__ import annotations

import doctest
import importlib

import pytest

import seqloss.keras

MODULES = {getattr(seqloss.keras, name).__module__ for name in seqloss.keras.__all__} - {"seqloss.numpy.findings"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_examples_give_what_they_show(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert found.failed == 0
