"""Small sounds, and files of them with headers written by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    """A sine wave: float32 (samples,)."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def save(path: Path, samples: np.ndarray, rate: int = RATE, **options: object) -> Path:
    """Write a sound as its suffix or `format` says."""
    soundfile.write(path, samples, rate, **options)
    return path


def as_int16(samples: np.ndarray) -> np.ndarray:
    return np.round(32768 * samples).clip(-32768, 32767).astype("<i2")


def wav(
    path: Path, samples: np.ndarray, *, rate: int = RATE, claimed: int | None = None,
    bytes_per_second: int | None = None, block: int = 2, tail: bytes = b"",
) -> Path:  # fmt: skip
    """A WAV file of 16 bits whose chunk `data` claims a size in bytes."""
    body = as_int16(samples).tobytes()
    speed = rate * block if bytes_per_second is None else bytes_per_second
    chunk = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, speed, block, 16)
    data = b"data" + struct.pack("<I", len(body) if claimed is None else claimed) + body + tail
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunk) + len(data)) + b"WAVE" + chunk + data)
    return path


def sphere(path: Path, samples: np.ndarray, *, order: str = "<", **fields: str | None) -> Path:
    """A SPHERE file of 16 bits; fields given as None are left out."""
    known: dict[str, str | None] = {
        "channel_count": "-i 1",
        "sample_count": f"-i {len(samples)}",
        "sample_rate": f"-i {RATE}",
        "sample_n_bytes": "-i 2",
        "sample_byte_format": "-s2 01" if order == "<" else "-s2 10",
        **fields,
    }
    lines = [f"{name} {value}\n" for name, value in known.items() if value is not None]
    header = "NIST_1A\n   1024\n" + "".join(lines) + "end_head\n"
    path.write_bytes(header.encode().ljust(1024) + as_int16(samples).astype(f"{order}i2").tobytes())
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """The file without its end."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path
