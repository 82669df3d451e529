"""Sizes and shares that users give to layers."""

from __future__ import annotations

from seqloss.errors import OptionError


def check_sizes(**sizes: int) -> None:
    """Raise `OptionError` unless each size, by the name of its argument, is a whole number of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise OptionError(f"{name}: found {size!r}, expected a whole number of at least 1.")


def check_shares(**shares: float) -> None:
    """Raise `OptionError` unless each share, by the name of its argument, is from 0 to less than 1."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise OptionError(f"{name}: found {share!r}, expected a share from 0 to less than 1.")
