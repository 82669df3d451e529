"""What the header of a sound file claims, compared with what the file holds."""

from __future__ import annotations

from typing import BinaryIO

from seqloss.errors import DataError

LOWEST_RATE, HIGHEST_RATE = 2_000, 384_000
"""Sampling rates in Hz; outside of them, a header is wrong."""


def check_rate(rate: int) -> None:
    """Raise a `DataError` for a sampling rate that no sound has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise DataError(
            f"the header claims a sampling rate of {rate:,} Hz, expected {LOWEST_RATE:,} to {HIGHEST_RATE:,}; "
            "write the file again"
        )


def wrong_length(claimed: float, found: float) -> DataError:
    """The error for a header whose length is not that of the sound in the file."""
    return DataError(
        f"the header claims {describe_seconds(claimed)} of sound, the file holds {describe_seconds(found)}, as when a "
        "program writes to a pipe; write it again: ffmpeg -i OLD.wav NEW.wav, or sox --ignore-length OLD.wav NEW.wav"
    )


def truncated(found: float, claimed: float, why: str = "") -> DataError:
    """The error for a file that ends before its sound."""
    reason = f" ({why})" if why else ""
    return DataError(f"truncated: ends after {found:.1f} of {claimed:.1f} s{reason}; copy it again")


def describe_seconds(seconds: float) -> str:
    """A length for people: seconds, or hours from two hours on."""
    return f"{seconds:.1f} s" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """That many bytes.

    Raises:
        DataError: the file ends before.
    """
    found = file.read(count)
    if len(found) < count:
        raise DataError("truncated: ends within its header; copy it again")
    return found
