"""The examples in the docstrings of errors, data and training run and give what they show.

Those of the frontends, the doctor, the verifier and the reference run beside their tests.
"""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil

import pytest

import seqloss.data
from tests.public_api import public_names

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

DATA = [module.name for module in pkgutil.walk_packages(seqloss.data.__path__, "seqloss.data.")]
TRAINING = [
    "seqloss.training.engine",
    "seqloss.training.overfit",
    "seqloss.training.predictor",
    "seqloss.training.run",
    "seqloss.recipes",
    "seqloss.report.page",
]
MODULES = ["seqloss.errors", *DATA, *TRAINING]
ELSEWHERE = {"numpy", "torch", "jax", "keras", "doctor", "verify", "reference"}
"""Their tests run the examples of all their modules."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_examples_of_every_public_name_are_run() -> None:
    homes = {found.home for found in public_names()} - {"seqloss"}  # beside the doctor's
    assert {home for home in homes if home.split(".")[1] not in ELSEWHERE} <= set(MODULES)
