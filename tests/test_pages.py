"""Every block of Python on README.md and the other pages runs, and gives what it shows."""

from __future__ import annotations

import os

import pytest

from tests.pages import LANGUAGES, LOOKS_LIKE_PYTHON, PAGES, blocks_of, python_blocks, run_python

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="this process is Keras'")

WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs_and_gives_what_it_shows(page: str) -> None:
    run_python(python_blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_a_block_names_its_language(page: str) -> None:
    assert [block.place for block in blocks_of(page) if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", PAGES)
def test_python_that_is_shown_as_output_is_marked_as_not_executed(page: str) -> None:
    shown = [block for block in blocks_of(page) if block.language in {"text", "bash", "json"}]
    assert [block.place for block in shown if LOOKS_LIKE_PYTHON.search(block.code) and block.reason is None] == []
