"""Resampled sounds on disk, so that each is resampled once and not in every epoch.

Samples are kept as float32: what is read from the cache has the bits of `read_sound`, so a run with a cache ends with
the same weights as one without. This takes 64 kB per second at 16 kHz. A sound that has the requested rate already is
not kept, because decoding it costs little.

An entry is found by the path, size and modification time of the sound, the rate, and the versions of soxr and
libsndfile. It has a checksum; an incomplete entry is made again. Entries are written to a file of their own and then
renamed, so that several processes may share the folder. Without a writable folder, or with little free space on the
disk, nothing is kept.

The folder is `sounds` in `SEQLOSS_CACHE_DIR`, else in `XDG_CACHE_HOME/seqloss`, else in `~/.cache/seqloss`, beside the
compiled kernels. It can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from seqloss.data.sounds import reading, resample
from seqloss.data.sounds.reading import SoundInfo, read_sound_and_info

HEADER = struct.Struct("<8sIIIQ")
MAGIC = b"SEQSND01"
KEEP_FREE = 2 << 30
"""Bytes of the disk that the cache leaves free."""


def default_cache_folder() -> Path | None:
    """The folder for resampled sounds; None without a home folder."""
    base, home = os.environ.get("SEQLOSS_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else (Path(home) if home else Path("~/.cache").expanduser()) / "seqloss") / "sounds"
    except RuntimeError:
        return None


class SoundCache:
    """Read sounds at one rate, each resampled once.

    Args:
        rate: in Hz.
        folder: of the entries; None to keep nothing.

    Raises:
        DataError: `read` or `inspect` gets a sound that cannot be used.

    Example:
        >>> SoundCache(16_000, None).describe_size()
        'no resampled sounds are kept'
    """

    def __init__(self, rate: int, folder: Path | None) -> None:
        self.rate, self.folder = rate, folder

    def read(self, path: Path) -> np.ndarray:
        """What `read_sound` returns, bit for bit: float32 (samples,)."""
        return self.read_with_info(path)[0]

    def inspect(self, path: Path) -> SoundInfo:
        """What `inspect_sound` returns; a sound that needs resampling is kept on the way."""
        return self.read_with_info(path)[1]

    def read_with_info(self, path: Path) -> tuple[np.ndarray, SoundInfo]:
        """Samples, and the sound as it is in its file."""
        entry = self.entry_of(path)
        if entry and (found := read_entry(entry)):
            return found
        samples, info = read_sound_and_info(path, self.rate)
        if entry and info.rate != self.rate and entry == self.entry_of(path):  # not replaced in the meantime
            with suppress(OSError):
                write_entry(entry, samples, info)
        return samples, info

    def entry_of(self, path: Path) -> Path | None:
        """The file of a sound's entry, whether it exists or not."""
        try:
            stat = path.stat()
        except OSError:
            return None
        if self.folder is None:
            return None
        versions = [reading.VERSION, resample.VERSION]
        key = json.dumps([str(path.absolute()), stat.st_size, stat.st_mtime_ns, self.rate, *versions])
        digest = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:32]}.f32"

    def bytes_for(self, infos: Iterable[SoundInfo]) -> int:
        """About how many bytes the entries of these sounds take."""
        return sum(4 * info.samples_at(self.rate) for info in infos if info.rate != self.rate)

    def describe_size(self) -> str:
        """A note on how much is kept, and where."""
        sizes = [entry.stat().st_size for entry in self.folder.glob("*/*.f32")] if self.folder else []
        if not sizes:
            return "no resampled sounds are kept"
        return (
            f"resampled sounds kept: {len(sizes):,}, {sum(sizes) / 1e9:.1f} GB in {self.folder}; "
            "the folder can be deleted at any time"
        )


def read_entry(entry: Path) -> tuple[np.ndarray, SoundInfo] | None:
    """Samples and information of an entry; None if there is none, or an incomplete one."""
    try:
        content = entry.read_bytes()
    except OSError:
        return None
    if len(content) < HEADER.size:
        return None
    magic, checksum, rate, channels, frames = HEADER.unpack_from(content)
    if magic != MAGIC or checksum != zlib.crc32(memoryview(content)[12:]):
        return None
    return np.frombuffer(content, "<f4", offset=HEADER.size).astype(np.float32), SoundInfo(rate, channels, frames)


def write_entry(entry: Path, samples: np.ndarray, info: SoundInfo) -> None:
    """Write an entry atomically, if the disk has space."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(entry.parent).free < KEEP_FREE + samples.nbytes:
        return
    body = HEADER.pack(MAGIC, 0, info.rate, info.channels, info.frames)[12:] + samples.astype("<f4").tobytes()
    part = entry.with_name(f".{entry.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        part.write_bytes(MAGIC + struct.pack("<I", zlib.crc32(body)) + body)
        part.replace(entry)
    finally:
        part.unlink(missing_ok=True)
