"""Every block of Keras on README.md and the other pages runs on this backend, and gives what it shows."""

from __future__ import annotations

import pytest
from tests.pages import PAGES, blocks_of, python_blocks, run_python
from tests.test_page_links import inline_names, resolve

WITH_KERAS = [page for page in PAGES if any(block.language == "python keras" for block in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_KERAS)
def test_the_keras_examples_of_a_page_run_and_give_what_they_show(page: str) -> None:
    run_python(python_blocks(page, "python keras"))


def test_the_names_of_seqloss_keras_on_the_pages_exist() -> None:
    found = {name for page in PAGES for name in inline_names(page) if name.startswith("seqloss.keras.")}
    assert found
    assert [name for name in sorted(found) if not resolve(name)] == []
