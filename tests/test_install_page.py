"""The tables of the install page are those of pyproject.toml."""

from __future__ import annotations

import os
import re

import pytest
from packaging.requirements import Requirement

from tests.pages import ROOT, read_page
from tests.test_minimum_versions import EXTRAS, PROJECT
from tests.test_page_facts import table_rows

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

PAGE = read_page("docs/start/install.md")
ROWS = {name.strip("`"): installs for name, _, installs in table_rows(PAGE, "Extras")}
IN_WORDS = {"dev"}
"""Extras whose packages the page does not list."""


def lowest(text: str) -> str:
    """A requirement of pyproject.toml as the page words it: its name and its lower bound."""
    requirement = Requirement(text)
    if requirement.name == "seqloss":
        return ", ".join(f"`{extra}`" for extra in EXTRAS if extra in requirement.extras)
    (bound,) = (one.version for one in requirement.specifier if one.operator in {">=", "=="})
    return f"{requirement.name} {bound}" + " (Linux)" * ("linux" in str(requirement.marker))


def test_the_extras_are_those_that_can_be_installed() -> None:
    assert set(ROWS) == set(EXTRAS)


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - IN_WORDS))
def test_an_extra_installs_what_the_page_says(extra: str) -> None:
    assert re.split(r"[,;] ", ROWS[extra]) == re.split(r", ", ", ".join(map(lowest, EXTRAS[extra])))


def test_the_base_package_needs_what_the_page_says() -> None:
    assert f"The base package needs {' and '.join(map(lowest, PROJECT['dependencies']))}." in PAGE


def test_the_tested_versions_of_python_are_those_of_the_classifiers() -> None:
    known = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert table_rows(PAGE, "What is tested")[0][1] == ", ".join(known)
    assert f"seqloss needs Python {known[0]} to {known[-1]}." in PAGE


def test_every_environment_variable_of_seqloss_is_on_the_page() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"\bSEQLOSS_[A-Z_]+", source)}
    internal = {"SEQLOSS_VERIFY_KEY"}  # between the verifier and its child processes
    shown = {row[0].strip("`") for row in table_rows(PAGE, "Environment variables")}
    assert {name for name in shown if name.startswith("SEQLOSS")} == read - internal
