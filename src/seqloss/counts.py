"""Numbers with their nouns, in messages."""

from __future__ import annotations


def format_count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 row", "2 rows".

    Args:
        number: of things.
        noun: what one is called.
        plural: what several are called, where that is not the noun and an s.

    Example:
        >>> format_count(1, "recording"), format_count(0, "class", "classes")
        ('1 recording', '0 classes')
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
