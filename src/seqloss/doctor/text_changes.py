"""What happened to a text on its way: nothing, another Unicode form, another case, or something else."""

from __future__ import annotations

import unicodedata

from seqloss.data.vocabulary import describe_character

SAME, FORM, COMPATIBILITY, CASE, OTHER = "", "form", "compatibility", "case", "other"


def change_of(text: str, back: str) -> str:
    """The smallest change that explains the difference.

    Spaces at the ends count for nothing, and neither does their number between words.

    Example:
        >>> change_of("two  words ", "two words"), change_of("Ab", "ab"), change_of("x\\u00b2", "x2")
        ('', 'case', 'compatibility')
    """
    text, back = (" ".join(one.split()) for one in (text, back))
    if text == back:
        return SAME
    if _form("NFC", text) == _form("NFC", back):
        return FORM
    if _form("NFKC", text) == _form("NFKC", back):
        return COMPATIBILITY
    return CASE if fold(text) == fold(back) else OTHER


def fold(text: str) -> str:
    """A text without what `change_of` gives a name: case, Unicode form, spaces."""
    return " ".join(_form("NFKC", _form("NFKC", text).casefold()).split())


def first_difference(text: str, back: str) -> str:
    """The first differing character of two texts, in words."""
    place = next((n for n, (one, other) in enumerate(zip(text, back, strict=False)) if one != other), None)
    place = min(len(text), len(back)) if place is None else place
    found, came = (describe_character(one[place]) if place < len(one) else "the end" for one in (text, back))
    return f"at character {place}: {found} comes back as {came}"


def _form(name: str, text: str) -> str:
    return unicodedata.normalize(name, text)  # type: ignore[arg-type]
