"""Laws that every healthy training keeps, checked by doing; one file each.

A law is a function from a `Subject` to findings. It raises `NotChecked` where it does not apply. Its tolerance covers
rounding only: no threshold was fitted to trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Subject

Law = Callable[[Subject], Iterator[Finding]]

NAMES = (
    "ledger",
    "mode",
    "rows",
    "padding",
    "token padding",
    "pairing",
    "locality",
    "lengths",
    "ahead",
    "memory",
    "pairs",
    "outputs",
    "loss",
    "sigmoids",
    "batch size",
    "schedule",
    "round trip",
    "loaded texts",
    "classes",
    "embeddings",
    "frames",
    "rates",
    "inputs",
    "input range",
    "target range",
    "repeats",
    "order",
    "checkpoint",
    "second process",
)
"""In the order in which they are checked. "batch size" is `check` of batch_size.py, and so on."""


def laws() -> dict[str, Law]:
    """All laws by name, in the order in which they are checked."""
    return {name: import_module(f"{__name__}.{name.replace(' ', '_')}").check for name in NAMES}
