"""Format numbers as ranges."""

from __future__ import annotations

from collections.abc import Iterable


def format_ranges(numbers: Iterable[int], most: int = 8) -> str:
    """1, 2, 3, 7 as "1-3, 7"; at most `most` ranges, then "..."."""
    found: list[list[int]] = []
    for number in map(int, numbers):
        if found and number in (found[-1][1], found[-1][1] + 1):
            found[-1][1] = number
        else:
            found.append([number, number])
    words = [f"{low}" if low == high else f"{low}-{high}" for low, high in found]
    return ", ".join([*words[:most], *(["..."] if len(words) > most else [])])
