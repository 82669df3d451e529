"""Every page of docs/ that shows Python runs, and shows what comes out."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
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


@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize("name", [name for name in PAGES if blocks(DOCS / name, keras=True)])
def test_the_keras_examples_of_a_page_give_what_they_show_on_every_backend(name: str, backend: str) -> None:
    code = "import sys; from tests import test_pages; test_pages.run(sys.argv[1], keras=True)"
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    out = subprocess.run(
        [sys.executable, "-c", code, name], cwd=DOCS.parent, env=env, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stdout[-3000:] + out.stderr[-2000:]


def run(name: str, keras: bool) -> None:
    text = blocks(DOCS / name, keras)
    session = doctest.DocTestParser().get_doctest(text, {}, name, str(DOCS / name), 0)
    report: list[str] = []
    doctest.DocTestRunner().run(session, out=report.append)
    assert not report, "".join(report)
