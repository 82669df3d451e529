"""The header of a WAV file: chunks of a name of 4 bytes, a size of 4 bytes, and that many bytes.

Programs that write to a pipe cannot go back and fill in the size of the chunk `data`. They leave 0, or the largest
number (0xFFFFFFFF, or 0x7FFFFFFF less a header).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from seqloss.counts import format_count
from seqloss.data.sounds.claims import check_rate, read_exactly, wrong_length
from seqloss.errors import DataError

UNCOMPRESSED = {1: "PCM", 3: "float", 6: "A-law", 7: "mu-law"}
EXTENSIBLE = 0xFFFE
UNKNOWN_SIZE = 0x7FFFF000
"""A size from here on, larger than the file, is a placeholder."""

UNEXPLAINED_SECONDS = 0.1
"""Bytes behind the sound that are no chunks, as seconds of sound: more is sound that the header leaves out."""


def claimed_seconds(file: BinaryIO, size: int) -> float | None:
    """Seconds of sound that the header of a WAV file claims; None without a chunk `data`.

    Raises:
        DataError: rates that contradict each other, or a length that is a placeholder or leaves sound out.
    """
    file.seek(0)
    order = ">" if file.read(4) == b"RIFX" else "<"
    bytes_per_second, length64, place = 0, 0, 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack(f"{order}4sI", read_exactly(file, 8))
        if name == b"data":
            length = length64 if length64 and length == 0xFFFFFFFF else length
            return seconds_of_data(file, size, place + 8, length, bytes_per_second, order)
        if name == b"fmt ":
            bytes_per_second = check_format(*struct.unpack(f"{order}HHIIHH", read_exactly(file, 16)))
        elif name == b"ds64":
            length64 = struct.unpack("<QQ", read_exactly(file, 16))[1]
        place += 8 + length + length % 2
    return None


def check_format(code: int, channels: int, rate: int, bytes_per_second: int, block: int, bits: int) -> int:
    """Bytes per second, after the fields of the chunk `fmt` are checked against each other."""
    check_rate(rate)
    plain = code in UNCOMPRESSED or code == EXTENSIBLE
    if plain and bytes_per_second != rate * block:
        raise DataError(
            f"the header contradicts itself: {rate:,} Hz with {block} bytes each are {rate * block:,} bytes per "
            f"second, it says {bytes_per_second:,}; the sampling rate may be wrong: write the file again"
        )
    if plain and block != channels * -(-bits // 8):
        raise DataError(
            f"the header contradicts itself: {block} bytes for {format_count(channels, 'channel')} of {bits} bits; "
            "write the file again"
        )
    return bytes_per_second


def seconds_of_data(
    file: BinaryIO, size: int, start: int, length: int, bytes_per_second: int, order: str
) -> float | None:
    """Seconds in the chunk `data`, which starts at a place and claims a length."""
    if not bytes_per_second:
        return None
    claimed, held = length / bytes_per_second, (size - start) / bytes_per_second
    if length > size - start and length >= UNKNOWN_SIZE:
        raise wrong_length(claimed, held)
    unexplained = bytes_after_chunks(file, size, start + length + length % 2, order) / bytes_per_second
    if unexplained > UNEXPLAINED_SECONDS:
        raise wrong_length(claimed, claimed + unexplained)
    return claimed


def bytes_after_chunks(file: BinaryIO, size: int, place: int, order: str) -> int:
    """How many bytes follow the last chunk of those that start at a place."""
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if not (name.isascii() and name.decode("latin-1").isprintable()) or place + 8 + length > size:
            break
        place += 8 + length + length % 2
    return max(0, size - place)
