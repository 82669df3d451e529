"""Characters that no picture shows, or whose like it cannot tell apart: which they are, and their names."""

from __future__ import annotations

import unicodedata

LINE_BREAKS = "\n\v\f\r\x85\u2028\u2029"

VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Category Cf, but drawn: Arabic, Syriac and Kaithi signs around or above numbers."""

INKLESS_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters, marks and symbols without ink."""

REPLACEMENT = "\ufffd"
"""Stands where a decoder met bytes that it could not read."""

CONTROL_NAMES = {
    "\t": "CHARACTER TABULATION",
    "\n": "LINE FEED",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x85": "NEXT LINE",
    "\ufeff": "ZERO WIDTH NO-BREAK SPACE, a byte order mark",
}
"""Names that `unicodedata` lacks, or that people know under another one."""


def is_invisible(character: str) -> bool:
    """Whether a character has no ink: controls, format characters, selectors, spaces other than the usual one."""
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return True
    if category == "Cf":
        return character not in VISIBLE_FORMATS
    return character in INKLESS_LETTERS or is_variation_selector(character)


def is_variation_selector(character: str) -> bool:
    """Whether a character selects a glyph of the character before it."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def name_character(character: str) -> str:
    """Code point and name, for a message: U+00A0 NO-BREAK SPACE."""
    name = CONTROL_NAMES.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name or ('control character' if ord(character) < 0xA0 else 'no name')}"
