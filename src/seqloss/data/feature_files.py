"""Features that were computed elsewhere, as arrays (frames, features): `.npy`, and `.mfc` of CMU Sphinx.

A Sphinx file is a big-endian int32, the number of values, then that many big-endian float32, frame after frame. It does
not say how many features a frame has; Sphinx computes 13.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from seqloss.data.paths import FEATURE_SUFFIXES, require_file
from seqloss.errors import DataError

SPHINX_WIDTH = 13
MAX_VALUES = 250_000_000
"""Values of one file, 1 GB: more is a damaged header."""


def inspect_features(path: Path, width: int | None = None) -> tuple[int, int]:
    """Check that a file of features can be used.

    Args:
        path: of the file.
        width: features per frame; None for any in `.npy`, and for 13 in `.mfc`.

    Returns:
        numbers of frames and of features per frame.

    Raises:
        DataError: it cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from seqloss.data import inspect_features
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "a.npy", np.random.default_rng(0).normal(size=(120, 40)))
        ...     inspect_features(Path(folder) / "a.npy")
        (120, 40)
    """
    frames, features = read_features(path, width).shape
    return frames, features


def read_features(path: Path, width: int | None = None) -> np.ndarray:
    """Read features.

    Args:
        path: of a `.npy` or `.mfc` file.
        width: features per frame; None for any in `.npy`, and for 13 in `.mfc`.

    Returns:
        float32 (frames, features).

    Raises:
        DataError: it cannot be used; the message says why.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from seqloss.data import read_features
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "a.npy", np.random.default_rng(0).normal(size=(120, 40)))
        ...     features = read_features(Path(folder) / "a.npy", width=40)
        >>> features.shape, features.dtype.name
        ((120, 40), 'float32')
    """
    require_file(path, "a file of features")
    readers = {".npy": read_npy, ".mfc": read_sphinx}
    if path.suffix.lower() not in readers:
        raise DataError(
            f"not a file of features: suffix {path.suffix!r}, expected {', '.join(sorted(FEATURE_SUFFIXES))}"
        )
    try:
        found = readers[path.suffix.lower()](path, width)
    except OSError as error:
        raise DataError(f"cannot be opened ({error.strerror})") from error
    check_values(found)
    return found


def read_npy(path: Path, width: int | None) -> np.ndarray:
    """The array of a `.npy` file; the file is mapped, so that a lying header allocates nothing."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        if b"'shape': (0," in path.read_bytes()[:200]:
            raise empty() from error  # an array without values cannot be mapped
        raise DataError(f"broken or truncated .npy file, or one of Python objects ({error}); save it again") from error
    if not isinstance(array, np.ndarray):
        raise DataError("an archive of several arrays; save one array with numpy.save")
    if array.ndim != 2 or array.dtype.kind != "f":
        shape = "scalar" if not array.ndim else " x ".join(map(str, array.shape))
        raise DataError(f"array of {array.dtype} ({shape}), expected floats of two axes (frames, features)")
    if width is not None and array.shape[1] != width:
        hint = "; it seems to be transposed: save array.T" if array.shape[0] == width else ""
        raise DataError(f"{array.shape[1]} features per frame, expected {width}{hint}")
    return np.array(array, np.float32, order="C")


def read_sphinx(path: Path, width: int | None) -> np.ndarray:
    """The frames of a Sphinx file."""
    width = SPHINX_WIDTH if width is None else width
    content = path.read_bytes()
    if len(content) < 4:
        raise DataError(f"truncated: {len(content)} bytes, expected a count of 4 bytes and values; copy it again")
    (count,) = struct.unpack_from(">i", content)
    if len(content) != 4 + 4 * count:
        raise DataError(describe_wrong_count(content, count))
    if count % width:
        raise DataError(f"{count} values are not a multiple of {width} features per frame; give the right number")
    return np.frombuffer(content, ">f4", offset=4).astype(np.float32).reshape(-1, width)


def describe_wrong_count(content: bytes, count: int) -> str:
    """What is wrong with a file whose size is not that of its count of values."""
    values = (len(content) - 4) / 4
    if struct.unpack_from("<i", content)[0] == values:
        return "little-endian: expected a big-endian count and big-endian values, as Sphinx writes; swap the bytes"
    if len(content) >= 12:
        frames, _, size, _ = struct.unpack_from(">iihh", content)
        if size > 0 and len(content) == 12 + frames * size:
            return f"an HTK file of {frames} frames, expected a Sphinx file; save the array as .npy"
    if 0 <= values < count <= MAX_VALUES:
        return f"truncated: {values:g} of {count} values; copy it again"
    return f"the header counts {count} values, the file holds {values:g}; expected a Sphinx file: copy it again"


def check_values(features: np.ndarray) -> None:
    """Raise a `DataError` for no values, for NaN or infinite ones, or if all are equal."""
    if not features.size:
        raise empty()
    if not np.isfinite(features).all():
        frame = int(np.flatnonzero(~np.isfinite(features).all(1))[0])
        raise DataError(f"NaN or infinite values, the first in frame {frame}; compute the features again")
    if features.min() == features.max():
        raise DataError(f"silent: all values are {features.flat[0]:g}; remove it")


def empty() -> DataError:
    return DataError("empty: no frames; remove it, or compute the features again")
