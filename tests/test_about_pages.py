"""The pages about the project: the glossary is complete and sorted; fonts and versions are those of the code."""

from __future__ import annotations

import os

import pytest

import seqloss
from seqloss.data.fonts import PACKAGES
from tests.pages import read_page
from tests.test_page_facts import table_rows

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")


@pytest.mark.parametrize("part", ["Of the field", "Of this project"])
def test_the_terms_of_the_glossary_are_sorted_and_each_has_a_page(part: str) -> None:
    rows = table_rows(read_page("docs/about/glossary.md"), part)
    terms = [term.lower() for term, _ in rows]
    assert terms == sorted(terms)
    assert [term for term, meaning in rows if "](" not in meaning] == []


def test_every_font_has_its_licence_on_the_page() -> None:
    rows = table_rows(read_page("docs/about/licences.md"), "Fonts")
    assert {package.replace("-", "_") for _, package, _ in rows} == set(PACKAGES)


def test_the_citation_has_the_version() -> None:
    assert f"version = {{{seqloss.__version__}}}" in read_page("docs/about/citing.md")
