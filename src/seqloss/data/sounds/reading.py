"""Read sounds as float32 samples of one channel at one sampling rate, and check them on the way.

libsndfile decodes. Integers become numbers from -1 to 1. Several channels are averaged. A sound is decoded and
resampled in blocks, so that only the result is as long as the sound. The blocks are read without seeking: with it, an
MP3 would not always decode to the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqloss.data.paths import require_file
from seqloss.data.sounds.claims import check_rate, describe_seconds, truncated, wrong_length
from seqloss.data.sounds.headers import Header, read_header
from seqloss.data.sounds.levels import Levels, full_scale_of
from seqloss.data.sounds.resample import Resampler
from seqloss.errors import DataError, missing_extra

try:
    import soundfile
except ImportError as error:  # pragma: no cover
    raise missing_extra("soundfile", "speech", "reading sounds") from error

VERSION = f"libsndfile {soundfile.__libsndfile_version__}"
BLOCK = 8192
MAX_SECONDS = 3 * 3600
"""Of a sound that is read as a whole: 0.7 GB at 16 kHz, and twice that while its blocks are joined."""

TOLERATED_SECONDS = {"MP3": 0.15}
"""How far header and sound may differ: encoders of MP3 count their padding differently. Others: 0.01 s."""


@dataclass(frozen=True)
class SoundInfo:
    """A sound as it is in its file.

    Attributes:
        rate: in Hz.
        channels: which are averaged if there are several.
        frames: samples per channel.

    Example:
        >>> from seqloss.data import SoundInfo
        >>> info = SoundInfo(rate=44_100, channels=2, frames=88_200)
        >>> info.seconds, info.samples_at(16_000)
        (2.0, 32000)
    """

    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return self.frames / self.rate

    def samples_at(self, rate: int) -> int:
        """About how many samples it has at another rate."""
        return round(self.frames * rate / self.rate)


def inspect_sound(path: Path) -> SoundInfo:
    """Check that a sound can be decoded completely, and is neither silent nor clipped.

    Args:
        path: of the sound.

    Returns:
        The sound's rate, channels and length, a `SoundInfo`.

    Raises:
        DataError: it cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import soundfile
        >>> from pathlib import Path
        >>> from seqloss.data import inspect_sound
        >>> wave = 0.5 * np.sin(np.arange(8000) / 5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     soundfile.write(Path(folder) / "a.wav", wave, 8000)
        ...     inspect_sound(Path(folder) / "a.wav")
        SoundInfo(rate=8000, channels=1, frames=8000)
    """
    stream = SoundStream(path)
    for _ in stream:
        pass
    return stream.info


def read_sound(path: Path, rate: int = 16_000) -> np.ndarray:
    """Read a sound, resampled to a rate; several channels are averaged.

    Args:
        path: of the sound.
        rate: in Hz.

    Returns:
        float32 (samples,), full scale is -1 to 1.

    Raises:
        DataError: it cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import soundfile
        >>> from pathlib import Path
        >>> from seqloss.data import read_sound
        >>> wave = 0.5 * np.sin(np.arange(8000) / 5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     soundfile.write(Path(folder) / "a.wav", wave, 8000)
        ...     samples = read_sound(Path(folder) / "a.wav", rate=16_000)
        >>> samples.shape, samples.dtype.name
        ((16000,), 'float32')
    """
    return read_sound_and_info(path, rate)[0]


def read_sound_and_info(path: Path, rate: int = 16_000) -> tuple[np.ndarray, SoundInfo]:
    """The same, with what `inspect_sound` returns, from decoding once."""
    stream = SoundStream(path, longest=MAX_SECONDS)
    samples = np.concatenate([np.empty(0, np.float32), *resampled(stream, rate)])
    return samples, stream.info


def sound_blocks(path: Path, rate: int = 16_000) -> Iterator[np.ndarray]:
    """Read a sound of any length in blocks, whose concatenation is what `read_sound` returns.

    Problems that only the whole sound shows (silent, clipped, truncated) are raised after the last block.

    Args:
        path: of the sound.
        rate: in Hz.

    Yields:
        float32 (samples,), about half a second each.

    Raises:
        DataError: the sound cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import soundfile
        >>> from pathlib import Path
        >>> from seqloss.data import sound_blocks
        >>> wave = 0.5 * np.sin(np.arange(8000) / 5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     soundfile.write(Path(folder) / "a.wav", wave, 8000)
        ...     blocks = list(sound_blocks(Path(folder) / "a.wav", rate=16_000))
        >>> sum(len(block) for block in blocks)
        16000
    """
    yield from resampled(SoundStream(path), rate)


def resampled(stream: SoundStream, rate: int) -> Iterator[np.ndarray]:
    resampler = None
    for block in stream:
        resampler = resampler or Resampler(stream.rate, rate)
        yield resampler(block)
    if resampler:
        yield resampler(np.empty(0, np.float32), last=True)


class SoundStream:
    """The blocks of a sound, averaged over channels, at the rate of the file; `info` is known after the last one.

    Args:
        path: of the sound.
        longest: refuse a longer one, in seconds.
    """

    info: SoundInfo
    rate: int

    def __init__(self, path: Path, longest: float | None = None) -> None:
        self.path, self.longest = path, longest

    def __iter__(self) -> Iterator[np.ndarray]:
        with open_sound(self.path) as (header, file):
            self.rate = file.samplerate
            claimed = header.seconds
            if claimed is None and 0 <= file.frames < 2**62:  # FLAC from a pipe has no count
                claimed = file.frames / self.rate
            levels, count = Levels(full_scale_of(file.subtype)), 0
            buffer = np.empty((BLOCK, file.channels), np.float32)
            while len(block := read_block(file, buffer, count / self.rate, claimed)):
                count += len(block)
                self.reject_long_sound(count)
                mono = block[:, 0].copy() if file.channels == 1 else block.mean(1, dtype=np.float32)
                levels.add(block, mono)
                yield mono
            self.info = SoundInfo(self.rate, file.channels, count)
            check_length(self.info.seconds, claimed, TOLERATED_SECONDS.get(header.kind, 0.01))
            levels.check(file.channels)

    def reject_long_sound(self, count: int) -> None:
        if self.longest is not None and count > self.longest * self.rate:
            raise DataError(
                f"long sound: more than {describe_seconds(self.longest)}; cut it into sentences, or read it in blocks"
            )


def check_length(found: float, claimed: float | None, tolerated: float) -> None:
    """Raise a `DataError` for a sound of no samples, or of another length than its header claims, in seconds."""
    if claimed and found < claimed - tolerated:
        raise truncated(found, claimed)
    if not found:
        raise DataError("empty: the sound has 0 samples; record it again, or remove it")
    if claimed is not None and found > claimed + tolerated:
        raise wrong_length(claimed, found)


def read_block(file: soundfile.SoundFile, buffer: np.ndarray, done: float, claimed: float | None) -> np.ndarray:
    """The next samples (frames, channels), in the buffer; a decoder's error becomes a `DataError`."""
    try:
        return file.read(out=buffer)
    except (soundfile.SoundFileError, RuntimeError) as error:
        why = str(error).removeprefix("Error :").strip().rstrip(".")
        if claimed:
            raise truncated(done, claimed, why) from error
        raise DataError(f"broken after {done:.1f} s ({why}); copy it again") from error


class UnseekableSoundFile(soundfile.SoundFile):
    """A sound that is read from start to end."""

    def seekable(self) -> bool:
        """False: soundfile would otherwise seek after each block."""
        return False


@contextmanager
def open_sound(path: Path) -> Iterator[tuple[Header, soundfile.SoundFile]]:
    """The header and the opened decoder; errors become a `DataError`."""
    require_file(path, "a sound")
    try:
        header = read_header(path)
        number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})") from error
    try:  # by number: with a name, soundfile would take a suffix .raw for the format
        file = UnseekableSoundFile(number, closefd=False)
    except (soundfile.SoundFileError, RuntimeError) as error:
        os.close(number)
        why = getattr(error, "error_string", str(error)).rstrip(".")
        raise DataError(
            f"broken {header.kind} file, or an encoding that is not read ({why}); convert it to WAV"
        ) from error
    try:
        check_rate(file.samplerate)
        yield header, file
    finally:
        file.close()
        os.close(number)
