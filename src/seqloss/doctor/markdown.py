"""Texts as parts of a Markdown page that shows them as they are, on GitHub and in TensorBoard."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"([\\`*_\[\]#|])")
"""What Markdown would read as markup inside a line."""


def escape_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in one line.

    Example:
        >>> print(escape_markdown("layers[0].weight_hh <b>"))
        layers\\[0\\].weight\\_hh &lt;b&gt;
    """
    line = " ".join(text.split())
    return SPECIAL.sub(r"\\\1", line.replace("&", "&amp;")).replace("<", "&lt;").replace(">", "&gt;")


def write_sentence(text: str) -> str:
    """A text as a sentence, with a capital letter and a full stop."""
    return f"{escape_markdown(text[:1].upper() + text[1:]).rstrip('.')}."


def fence_python(code: str) -> str:
    """Python as a block of code, whatever rows of backticks it has."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}python\n{code.rstrip()}\n{fence}"
