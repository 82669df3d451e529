"""Every page of docs/ that shows Python runs, and shows what comes out."""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^```python( keras)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, keras: bool) -> str:
    """The examples of a page, one session; those that import Keras are a session of their own."""
    return "\n".join(code for mark, code in BLOCK.findall(page.read_text(encoding="utf-8")) if bool(mark) == keras)


PAGES = [page.name for page in sorted(DOCS.glob("*.md")) if ">>>" in page.read_text(encoding="utf-8")]


@pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="this process is Keras'")
@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_give_what_they_show(name: str) -> None:
    run(name, keras=False)


def run(name: str, keras: bool) -> None:
    text = blocks(DOCS / name, keras)
    session = doctest.DocTestParser().get_doctest(text, {}, name, str(DOCS / name), 0)
    report: list[str] = []
    doctest.DocTestRunner().run(session, out=report.append)
    assert not report, "".join(report)
