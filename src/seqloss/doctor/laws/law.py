"""What a law is, and how it says that it does not apply."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Subject

Law = Callable[[Subject], Iterator[Finding]]


class NotChecked(Exception):
    """The law says nothing about this training; the message says why."""
