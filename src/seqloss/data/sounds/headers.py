"""Which format a sound file has, by its first bytes, and how much sound its header claims.

Files of other formats are refused before a decoder sees them. Decoders adapt the length in a header to the file in
silence, so the headers of WAV and SPHERE are read here as well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from seqloss.data.sounds import ogg, riff, sphere
from seqloss.errors import DataError

FORMATS = ("WAV", "FLAC", "MP3", "Ogg (Vorbis, Opus)", "NIST SPHERE")


@dataclass(frozen=True)
class Header:
    """What a file claims before it is decoded.

    Attributes:
        kind: of file, as people call it.
        seconds: of sound; None if the header does not say, or if the decoder knows.
    """

    kind: str
    seconds: float | None = None


def read_header(path: Path) -> Header:
    """The format and the claimed length of a sound file.

    Raises:
        DataError: another format, or a header that contradicts itself or the size of the file.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(16)
        if not size:
            raise DataError("empty: the file has 0 bytes; copy it again")
        if start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:12] == b"WAVE":
            return Header("WAV", riff.claimed_seconds(file, size))
        if start[:7] == b"NIST_1A":
            return Header("NIST SPHERE", sphere.claimed_seconds(file))
        if start[:4] == b"OggS":
            ogg.check_last_page(file, size)
            return Header("Ogg")
        if start[:4] == b"fLaC":
            return Header("FLAC")
        if start[:3] == b"ID3" or is_mpeg_frame(start):
            return Header("MP3")
    raise DataError(f"not a sound that can be read (it starts with {start!r}); expected {', '.join(FORMATS)}")


def is_mpeg_frame(start: bytes) -> bool:
    """Whether a file starts with the header of an MPEG frame of layer III: 11 bits of 1, then version and layer."""
    return len(start) > 2 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2
