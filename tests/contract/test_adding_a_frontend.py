"""docs/contributing/adding-a-frontend.md is true: its example is run, its table is the one in `Frontend`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from seqloss.numpy import ctc_loss_and_grad

from .frontend import Frontend
from .numpy_frontend import NumpyFrontend

PAGE = (Path(__file__).parents[2] / "docs" / "contributing" / "adding-a-frontend.md").read_text(encoding="utf-8")


def test_the_adapters_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    space = {"ctc_loss_and_grad": ctc_loss_and_grad, "np": np}
    exec(code, space)
    frontend, args = NumpyFrontend("bfloat16"), (np.random.default_rng(0).normal(size=(2, 5, 3)), [[1, 2], [2, 1]])
    for found, expected in zip(space["loss_and_grad"](frontend, *args), frontend.loss_and_grad(*args), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_table_lists_every_attribute_that_frontends_may_differ_in() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    declared = {name for name, kind in Frontend.__annotations__.items() if "ClassVar" in str(kind)} - {"name"}
    assert told == {name: repr(getattr(Frontend, name)).replace("'", '"') for name in declared}


def test_the_number_of_methods_is_as_documented() -> None:
    assert len(Frontend.__abstractmethods__) == 7
    assert "has seven methods" in PAGE
