"""Every page of docs/ that shows Keras runs on this backend, and shows what comes out."""

from __future__ import annotations

import pytest
from tests.test_pages import DOCS, PAGES, blocks, run


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(DOCS / name, keras=True)])
def test_the_keras_examples_of_a_page_give_what_they_show(name: str) -> None:
    run(name, keras=True)
