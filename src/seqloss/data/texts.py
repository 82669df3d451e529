"""Clean the text of a picture of one line: spaces around it, line breaks, Unicode normal form.

Nothing inside a text is removed. Characters that a picture cannot show are found, for `TextNotes` to list: some have a
meaning (a zero width non-joiner in Persian), others are accidents.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from seqloss.data.invisible import LINE_BREAKS, REPLACEMENT, is_invisible, name_character
from seqloss.errors import DataError, unknown_option

NORMALIZATIONS = ("NFC", "NFKC", "none")
"""Unicode normal forms that texts may be trained in; "none" leaves them as they are."""


@dataclass(frozen=True)
class CleanText:
    """A text to train with, and what was found in it.

    Attributes:
        text: without spaces around it, in the normal form.
        stripped: whether there were spaces around it.
        suspects: characters of the text that a picture cannot show, each once.
        form: the normal form that the text came in: "NFC", "NFD", "neither"; "" where these are the same.
    """

    text: str
    stripped: bool
    suspects: tuple[str, ...]
    form: str


def clean_text(text: str, normalization: str = "NFC") -> CleanText:
    """Clean a text.

    Args:
        text: of a picture of one line.
        normalization: "NFC", "NFKC" or "none".

    Returns:
        the text to train with, and what was found.

    Raises:
        DataError: there is a line break inside, or nothing to see; the message is the reason for a bad row.

    Example:
        >>> clean_text(" two\\u00a0words ")
        CleanText(text='two\\xa0words', stripped=True, suspects=('\\xa0',), form='')
    """
    bare = text.strip()
    reject_line_breaks(bare)
    clean = normalize_text(bare, normalization)
    suspects = tuple(dict.fromkeys(c for c in clean if is_invisible(c) or c == REPLACEMENT))
    if not clean:
        raise DataError("the text is empty")
    if all(is_invisible(c) or c == " " for c in clean):
        raise DataError(f"nothing in the text is visible (it is {', '.join(map(name_character, suspects))})")
    return CleanText(clean, bare != text, suspects, normal_form_of(bare))


def reject_line_breaks(text: str) -> None:
    """Raise a `DataError` for a line break: a picture of one line does not show it."""
    for place, character in enumerate(text):
        if character in LINE_BREAKS:
            raise DataError(
                f"a line break in the text ({name_character(character)} after {text[:place][-20:]!r}); "
                "give each line a picture of its own, or put a space there"
            )


def normalize_text(text: str, normalization: str = "NFC") -> str:
    """The text in a Unicode normal form; in NFC, texts that look the same are the same."""
    if normalization not in NORMALIZATIONS:
        raise unknown_option("normalization", normalization, NORMALIZATIONS)
    return text if normalization == "none" else unicodedata.normalize(normalization, text)  # type: ignore[arg-type]


def normal_form_of(text: str) -> str:
    """ "NFC" or "NFD" if the text is in that form only, "neither" if in none, "" if in both."""
    composed, decomposed = (unicodedata.is_normalized(form, text) for form in ("NFC", "NFD"))
    if composed and decomposed:
        return ""
    return "NFC" if composed else "NFD" if decomposed else "neither"
