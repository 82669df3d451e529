"""Figures and lists on the pages are those of the code and of the saved measurements."""

from __future__ import annotations

import json
import os
import re

import pytest

from seqloss.verify.laws import LAWS
from tests.pages import ROOT, read_page

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

README = read_page("README.md")


def table_rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two first lines."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def is_rounded(cell: str, value: float) -> bool:
    """Whether a cell is a value, rounded to the cell's last digit."""
    mantissa, _, exponent = cell.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(cell) - value) <= 0.5001 * unit


def test_the_page_about_the_verifier_has_every_law_in_order() -> None:
    rows = table_rows(read_page("docs/guides/verify.md"), "The laws")
    assert [name.strip("`") for name, _ in rows] == [law.name for law in LAWS]
    assert f"checks {len(LAWS)} properties" in " ".join(README.split())
    assert f"against {len(LAWS)} laws" in read_page("docs/index.md")


def test_the_speed_table_is_the_saved_run() -> None:
    saved = json.loads((ROOT / "benchmarks/results/ctc-cpu-avx2.json").read_text(encoding="utf-8"))["milliseconds"]
    rows = table_rows(README, "Speed")
    assert [row[0].split()[0] for row in rows] == list(saved)
    for (_, *cells), took in zip(rows, saved.values(), strict=True):
        ours, torch, jax, optax = (took[name] for name in ("seqloss.torch", "torch", "seqloss.jax", "optax (jit)"))
        medians = [took["seqloss.numpy"]["median"], ours["median"], torch["median"], torch["median"] / ours["median"]]
        medians += [jax["median"], optax["median"], optax["median"] / jax["median"]]
        for cell, value in zip(cells, [*medians, ours["absolute"]], strict=False):
            assert is_rounded(cell, value), (cell, value)
        assert cells[8] == f"{torch['absolute']:.0e}, {optax['absolute']:.0e}".replace("e-0", "e-")


def test_speed_in_words_is_that_of_the_table() -> None:
    rows = table_rows(README, "Speed")
    said = re.search(r"(\S+) to (\S+) times as fast as torch and (\S+) to (\S+) times as fast as optax", README)
    assert said is not None
    of_torch, of_optax = ([float(row[column]) for row in rows] for column in (4, 7))
    expected = [min(of_torch), max(of_torch), min(of_optax), max(of_optax)]
    assert [float(figure) for figure in said.groups()] == expected
    assert f"{said.group(3)} to {said.group(4)} times as fast" in read_page("docs/guides/moving-over.md")
    assert said.group(0) in " ".join(read_page("docs/index.md").split())
