"""The pages name functions and constants of the kernels as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import seqloss

KERNELS = Path(seqloss.__file__).parent / "kernels"
PAGES = Path(__file__).parents[2] / "docs"
FILES = {path.stem: path for folder in ("numba", "ctc") for path in (KERNELS / folder).glob("*.py")}


@pytest.mark.parametrize("page", ["design.md", "explanations/cpu-kernel.md"])
def test_a_function_or_constant_that_a_page_names_is_in_that_file(page: str) -> None:
    named = re.findall(r"`(\w+)\.(\w+)`", (PAGES / page).read_text())
    found = [(file, name) for file, name in named if file in FILES and name != "py"]
    assert found, "the page names nothing: mend this test"
    for file, name in found:
        defined = rf"^(?:def {name}\(|{name} = |{name} *:)|^[\w, ]*\b{name}\b[\w, ]* = "
        assert re.search(defined, FILES[file].read_text(), re.MULTILINE), f"{page}: there is no {file}.{name}"
