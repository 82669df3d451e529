"""A fault, or a healthy variant: patches of the source of recipes, and the findings that name its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["structural", "gradient", "other", "control"]
Patches = tuple[tuple[str, str], ...]

DEVELOPMENT = ("words", "tagging", "autoencoder")
"""Recipes that thresholds may be chosen on."""

FIRST_SCORED = ("handwriting", "translation", "forecast", "melody", "gestures")
"""Scored at commit 090256f, and seen by the doctor's authors since."""

SEEN = ("digits", "spelling", "speakers", "strokes", "charlm", *FIRST_SCORED)
"""Recipes that were not for development, but that the doctor's authors have seen results of."""

SCORED: tuple[str, ...] = ("morse", "sums", "retrieval", "beats", "weights")
"""Scored at commit 5733424, before any author of the doctor had seen them; their patches: a file each in `patches/`."""

KNOWN = DEVELOPMENT + SEEN
"""Their patches stand beside the faults."""

RECIPES = KNOWN + SCORED


@dataclass(frozen=True)
class Fault:
    """One class.

    Attributes:
        name: short.
        source: the public thread where it was met; "" of a control.
        kind: "structural" (can be told before training), "gradient", "other", or "control" (healthy).
        patches: recipe -> pairs of old and new source; an old text occurs exactly once.
        accepted: findings that name the cause, fixed before the runs.
    """

    name: str
    source: str
    kind: Kind
    patches: Mapping[str, Patches] = field(repr=False)
    accepted: tuple[str, ...] = ()


def control(name: str, patches: Mapping[str, Patches]) -> Fault:
    return Fault(name, "", "control", patches)


def everywhere(*patches: tuple[str, str], but: tuple[str, ...] = (), of: tuple[str, ...] = KNOWN) -> dict[str, Patches]:
    """The same patches for all known recipes but some."""
    return {recipe: patches for recipe in of if recipe not in but}


def one(old: str, new: str) -> Patches:
    """A single patch."""
    return ((old, new),)


def apply(source: str, patches: Patches) -> str:
    """The patched source.

    Raises:
        ValueError: an old text does not occur exactly once.
    """
    for old, new in patches:
        if source.count(old) != 1:
            raise ValueError(f"found {source.count(old)} times, expected once: {old!r}")
        source = source.replace(old, new)
    return source
