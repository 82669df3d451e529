"""Whether a program printed what a page shows."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?")
QUOTED = re.compile(r"""'[^']*'|(?<=: )"[^"]*\"""")
VERDICT = re.compile(
    r"(?<=; # with empty )(images|recordings): "
    r"(the model uses its input|the model begins to use its input|WARNING: the model does not use its input yet)"
)
"""Of the comparison with empty inputs after the first epoch."""
LEFT_OUT = "..."


def missing_part(shown: str, printed: str, *, exactly: bool) -> str | None:
    """The first part of what a page shows that was not printed, in the order of the page; None if all of it was.

    Parts are what stands between two `...`. One white space is as good as another, so that a page can wrap long lines.
    Unless `exactly`, numbers, words in quotation marks and the verdict of the comparison with empty inputs are those of
    another training.
    """
    rest = _normalize(printed, exactly)
    for part in shown.split(LEFT_OUT):
        if wanted := _normalize(part, exactly):
            _, found, rest = rest.partition(wanted)
            if not found:
                return f"{part.strip()}\n\nis not in\n\n{printed}"
    return None


def _normalize(text: str, exactly: bool) -> str:
    if not exactly:
        text = VERDICT.sub(r"\1: ?", QUOTED.sub("'?'", NUMBER.sub("#", text)))
    return " ".join(text.split())
