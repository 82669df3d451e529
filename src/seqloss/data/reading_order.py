"""From the texts of a data set to the order in which pictures show them, and back.

A network reads a picture from left to right. So texts are trained in that order, and transcripts are put back into the
logical order, in which people write and store them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seqloss.data.bidirectional import (
    Base,
    first_strong_direction,
    has_right_to_left,
    logical_candidates,
    to_visual_order,
)
from seqloss.data.rows import Row


@dataclass(frozen=True)
class ReadingOrder:
    """How texts become the order of their pictures.

    Attributes:
        direction: the base direction of every text, "ltr" or "rtl"; "auto" for that of its first letter with a
            direction, as in HTML; "visual" for texts that are stored in the order of the picture already.
        base: the base direction of most texts, which decides between the texts that one picture may stand for.

    Example:
        >>> order = ReadingOrder()
        >>> order.to_visual("\\u05d0\\u05d1 12") == "12 \\u05d1\\u05d0"
        True
        >>> ReadingOrder(base="rtl").to_logical("12 \\u05d1\\u05d0") == "\\u05d0\\u05d1 12"
        True
    """

    direction: str = "auto"
    base: Base = "ltr"

    @classmethod
    def from_texts(cls, texts: Iterable[str], direction: str = "auto") -> ReadingOrder:
        """The reading order for a direction and training texts."""
        if direction in ("ltr", "rtl"):
            return cls(direction, "rtl" if direction == "rtl" else "ltr")
        bases = Counter(first_strong_direction(text) for text in texts)
        return cls(direction, "rtl" if bases["rtl"] > bases["ltr"] else "ltr")

    def base_of(self, text: str) -> Base:
        """The base direction of a text in logical order."""
        return first_strong_direction(text) if self.direction == "auto" else self.base

    def reorders(self, text: str) -> bool:
        """Whether the order of the picture may differ from the logical one."""
        if self.direction in ("visual", "rtl"):
            return self.direction == "rtl"
        return has_right_to_left(text)

    def to_visual(self, text: str) -> str:
        """The text as the picture shows it, from left to right."""
        return to_visual_order(text, self.base_of(text)) if self.reorders(text) else text

    def to_logical(self, visual: str) -> str:
        """The text that a picture shows: of those that look so, the most likely one."""
        if not self.reorders(visual):
            return visual
        candidates = list(self._candidates(visual))
        return next((text for text in candidates if self.to_visual(text) == visual), candidates[0])

    def _candidates(self, visual: str) -> Iterator[str]:
        yield from logical_candidates(visual, self.base)
        if self.direction == "auto":
            yield from logical_candidates(visual, "ltr" if self.base == "rtl" else "rtl")

    def returns(self, text: str) -> bool:
        """Whether a text comes back the same from the order of its picture."""
        return self.to_logical(self.to_visual(text)) == text


def describe_reading_order(rows: Sequence[Row], order: ReadingOrder) -> Iterator[str]:
    """A line on texts that run from right to left, how they are trained, and which do not come back the same.

    Args:
        rows: of the data set.
        order: of its texts.
    """
    concerned = [row for row in rows if order.reorders(row.text) or has_right_to_left(row.text)]
    if not concerned:
        return
    if order.direction == "visual":
        yield (
            f"texts: {len(concerned)} of {len(rows)} {_has(len(concerned))} right-to-left letters; taken to be stored "
            "in the order in which the images show them (--direction visual)"
        )
        return
    right_to_left = sum(order.base_of(row.text) == "rtl" for row in concerned)
    mixed = len(concerned) - right_to_left
    changed = [row for row in concerned if not order.returns(row.text)]
    verb = "is" if right_to_left == 1 else "are"
    yield (
        f"texts: {right_to_left} of {len(rows)} {verb} right to left"
        f"{f', {mixed} more {_has(mixed)} right-to-left parts' if mixed else ''}; trained in the order in which an "
        f"image shows them, transcribed in logical order (--direction {order.direction})"
        f"{_describe_changed(changed, order) if changed else ''}"
    )


def _has(number: int) -> str:
    return "has" if number == 1 else "have"


def _describe_changed(rows: Sequence[Row], order: ReadingOrder) -> str:
    text = rows[0].text
    back = order.to_logical(order.to_visual(text))
    return (
        f"; {len(rows)} would be transcribed as another text that looks the same, such as that of {rows[0].name}: "
        f"{text!r} as {back!r}"
    )
