"""The order in which a picture shows a text, from left to right: the Unicode bidirectional algorithm (UAX #9).

python-bidi reorders the characters. It returns a text, not where each character went to. So each character carries its
position as digits that are boundary neutrals (tag characters), which the algorithm passes over (rule X9) and puts on
the level of the character before them. In the result they stand behind the characters that run from left to right, and
before the others, which shows the direction of each character as well. A mark of the base direction at the end keeps
the last digits there, as rule L1 moves what follows the last letter; it stands for the end of the text in all others.

A character and what belongs to it (nonspacing marks, zero width joiners and other characters without an effect on the
order) stay together, marks after their base in either direction, so that one vocabulary serves both. Brackets and
other characters that run from right to left are mirrored (rule L4). Controls of the algorithm itself (right-to-left
marks, embeddings, isolates) have had their effect, and the result is without them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from seqloss.errors import missing_extra

try:
    from bidi import get_display
    from bidi.mirror import MIRRORED
except ImportError as error:  # pragma: no cover
    raise missing_extra("python-bidi", "train", "ordering right-to-left texts") from error

Base = Literal["ltr", "rtl"]
"""The base direction of a text."""

RIGHT_TO_LEFT = frozenset(("R", "AL", "AN", "RLE", "RLO", "RLI"))
EXPLICIT = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
MARKS = frozenset("\u061c\u200e\u200f")
ATTACHED = frozenset(("NSM", "BN", ""))  # unassigned characters have no type; python-bidi may know one
DIGITS = range(0xE0020, 0xE0080)
PLACES = 3  # digits of a position
SPACES = frozenset(("B", "S"))  # paragraph and segment separators: in one line, they are spaces


@dataclass(frozen=True)
class Cluster:
    """A character with its marks.

    Attributes:
        text: in logical order; "" for a control of the algorithm.
        carrier: what python-bidi gets in its place.
    """

    text: str
    carrier: str


@dataclass(frozen=True)
class Placed:
    """A cluster in a picture: its index in the logical order, and whether it runs from right to left."""

    index: int
    mirrored: bool


def has_right_to_left(text: str) -> bool:
    """Whether some of the text runs from right to left in a text with base direction "ltr"."""
    return not text.isascii() and any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text)


def first_strong_direction(text: str) -> Base:
    """The base direction by the first letter with a direction, outside isolates (rules P2 and P3); else "ltr"."""
    depth = 0
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("LRI", "RLI", "FSI"):
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif not depth and kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


def split_clusters(text: str) -> list[Cluster]:
    """The text as characters with their marks."""
    clusters: list[Cluster] = []
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in EXPLICIT or character in MARKS:
            clusters.append(Cluster("", character))
        elif kind in ATTACHED and clusters and clusters[-1].text:
            clusters[-1] = Cluster(clusters[-1].text + character, clusters[-1].carrier)
        else:
            carrier = "\u0300" if kind in ATTACHED else " " if kind in SPACES else character
            clusters.append(Cluster(character, carrier))
    return clusters


def place_clusters(clusters: list[Cluster], base: Base) -> list[Placed]:
    """The clusters that a picture shows, from left to right."""
    marked = [
        cluster.carrier if not cluster.text else cluster.carrier + _write_position(index)
        for index, cluster in enumerate(clusters)
    ]
    end, base_dir = ("\u200e", "L") if base == "ltr" else ("\u200f", "R")
    shown = str(get_display("".join(marked) + end, base_dir=base_dir))
    shown = "".join(c for c in shown if unicodedata.bidirectional(c) not in EXPLICIT and c not in MARKS)
    return [_place(shown[start : start + PLACES + 1]) for start in range(0, len(shown), PLACES + 1)]


def _write_position(index: int) -> str:
    """The digits of an index, the highest first."""
    return "".join(chr(DIGITS[index // len(DIGITS) ** place % len(DIGITS)]) for place in reversed(range(PLACES)))


def _place(characters: str) -> Placed:
    """The cluster of a part of the result: its carrier and its digits, or these in reverse."""
    mirrored = ord(characters[0]) in DIGITS
    index = 0
    for digit in characters[-2::-1] if mirrored else characters[1:]:
        index = index * len(DIGITS) + DIGITS.index(ord(digit))
    return Placed(index, mirrored)


def mirror_cluster(text: str) -> str:
    """The cluster as it looks from right to left."""
    return MIRRORED.get(text[0], text[0]) + text[1:]


def to_visual_order(text: str, base: Base) -> str:
    """The text in the order in which a picture shows it, from left to right.

    Example:
        >>> to_visual_order("\u05d0\u05d1 (a) 12", "rtl") == "12 (a) \u05d1\u05d0"
        True
    """
    clusters = split_clusters(text)
    return "".join(
        mirror_cluster(clusters[placed.index].text) if placed.mirrored else clusters[placed.index].text
        for placed in place_clusters(clusters, base)
    )


def logical_candidates(visual: str, base: Base, rounds: int = 4) -> Iterator[str]:
    """Texts that a picture may show in this order, the most likely first.

    The order has no exact inverse: "12 \u05d1\u05d0" is "\u05d0\u05d1 12" or, from left to right, "12 \u05d0\u05d1".
    The algorithm applied to its own result is right for most texts. Where it is not, its permutation, undone on the
    visual text, gives the next candidate, as the types of the characters are then closer to where they belong.
    """
    shown = split_clusters(visual)
    candidate = to_visual_order(visual, base)
    for _ in range(rounds):
        yield candidate
        clusters = split_clusters(candidate)
        places = place_clusters(clusters, base)
        if len(places) != len(shown):  # the visual text has controls
            return
        logical = [""] * len(clusters)
        for cluster, placed in zip(shown, places, strict=True):
            logical[placed.index] = mirror_cluster(cluster.text) if placed.mirrored else cluster.text
        candidate = "".join(logical)
