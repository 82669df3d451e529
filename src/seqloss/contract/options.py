"""Options that are one of a few words."""

from __future__ import annotations

from typing import Any, get_args

from seqloss import errors


def check_option(name: str, found: object, known: Any) -> None:
    """Raise `OptionError` for a value that is not one of a `Literal`."""
    if found not in get_args(known):
        raise errors.unknown_option(name, found, get_args(known))
