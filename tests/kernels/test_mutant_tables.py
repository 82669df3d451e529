"""Each entry of the tables of mutants is up to date: its text stands in its file, and its test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import seqloss
from tests.kernels import test_mutants as cpu
from tests.kernels.triton import test_mutants as gpu

KERNELS = Path(seqloss.__file__).parent / "kernels"
TABLES = {"cpu": (cpu.MUTANTS, KERNELS, cpu.HERE), "gpu": (gpu.MUTANTS, KERNELS / "triton", gpu.HERE)}
ENTRIES = [(table, name) for table, (mutants, _, _) in TABLES.items() for name in mutants]


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_the_text_of_a_mutant_is_in_its_file_and_its_test_exists(table: str, name: str) -> None:
    mutants, kernels, tests = TABLES[table]
    file, text, mutation, test = mutants[name]
    source = (kernels / file).read_text()
    assert text in source, f"{name}: mend the table, {file} does not contain {text!r}"
    ast.parse(source.replace(text, mutation))  # one that is no Python fails every test
    path, _, function = test.partition("::")
    assert (tests / path).is_file(), f"{name}: there is no {path}"
    if function:
        assert re.search(rf"^def {function}\(", (tests / path).read_text(), re.MULTILINE), f"{name}: no {function}"
