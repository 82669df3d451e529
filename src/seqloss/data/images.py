"""Read images of text lines as grey arrays of fixed height.

Only the listed formats are read, because some others (PostScript) start another program. The size in the header is
checked first, so that a small file cannot expand to gigabytes. Of an animation, or of a file of several pages, the
first frame with content is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from seqloss.data.grey import MODES, describe_missing_content, reject_shallow_colours, to_grey
from seqloss.data.paths import require_file
from seqloss.errors import DataError, missing_extra

try:
    from PIL import Image, ImageOps, ImageSequence
except ImportError as error:  # pragma: no cover
    raise missing_extra("Pillow", "train", "reading images") from error

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 50_000_000

ROTATIONS = {
    90: Image.Transpose.ROTATE_270,  # Pillow counts counter-clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""Degrees clockwise."""


def inspect_image(path: Path, rotate: int = 0) -> tuple[int, int]:
    """Check that an image can be decoded completely and has content.

    Args:
        path: of the image.
        rotate: degrees clockwise: 0, 90, 180 or 270.

    Returns:
        width and height in pixels, after the rotation.

    Raises:
        DataError: it cannot be read, or there is nothing to read in it; the message says why.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from seqloss.data import inspect_image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.effect_noise((90, 30), 50).save(Path(folder) / "a.png")
        ...     inspect_image(Path(folder) / "a.png", rotate=90)
        (30, 90)
    """
    return read_grey(path, rotate).size


def read_line(path: Path, height: int, rotate: int = 0) -> np.ndarray:
    """Read an image in grey, scaled to a height with the aspect ratio unchanged.

    Args:
        path: of the image.
        height: in pixels.
        rotate: degrees clockwise: 0, 90, 180 or 270.

    Returns:
        uint8 (height, width), 0 for black to 255 for white.

    Raises:
        DataError: it cannot be read, or there is nothing to read in it; the message says why.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from seqloss.data import read_line
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.effect_noise((90, 30), 50).save(Path(folder) / "a.png")
        ...     line = read_line(Path(folder) / "a.png", height=32)
        >>> line.shape, line.dtype.name
        ((32, 96), 'uint8')
    """
    image = read_grey(path, rotate)
    width = scaled_width(*image.size, height)
    reject_huge_image(width, height, "scaled ")
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)


def scaled_width(width: int, height: int, to_height: int) -> int:
    """The width of an image after scaling to a height, at least 1."""
    return max(1, round(width * to_height / height))


def read_grey(path: Path, rotate: int = 0) -> Image.Image:
    """The first frame with content in 8-bit grey, turned as its EXIF tag says, then by `rotate` degrees clockwise."""
    problem = ""
    with open_image(path) as image:
        for frame in ImageSequence.Iterator(image):
            decoded = decode_frame(frame)
            grey = to_grey(decoded)
            missing = describe_missing_content(decoded, grey)
            if not missing:
                return grey.transpose(ROTATIONS[rotate]) if rotate else grey
            problem = problem or missing
    raise DataError(problem)


def decode_frame(frame: Image.Image) -> Image.Image:
    """The decoded frame, turned as its EXIF tag says."""
    reject_huge_image(*frame.size)
    deep = has_16_bit_colours(frame)
    frame.load()
    if frame.mode not in MODES:
        raise DataError(f"colour mode {frame.mode} is not read; save it as grey or RGB")
    if frame.mode == "F" and not np.isfinite(np.asarray(frame)).all():
        raise DataError("the image has NaN or infinite values; save it as 8-bit grey")
    if deep:
        reject_shallow_colours(frame)
    return ImageOps.exif_transpose(frame)


def has_16_bit_colours(frame: Image.Image) -> bool:
    """Whether the decoder of a frame that is not loaded yet drops the lower bytes of its colours."""
    arguments = [tile[3] for tile in getattr(frame, "tile", ())]
    raw_modes = [argument if isinstance(argument, str) else str(argument[:1]) for argument in arguments]
    return any(f";16{order}" in mode for mode in raw_modes for order in "BLN")


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The opened image; errors of the decoder become a `DataError`."""
    require_file(path, "an image")
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except DataError:
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(
            f"not an image that can be read, or one without pixels; expected {', '.join(FORMATS)}"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"huge image: more than {MAX_PIXELS:,} pixels; scale it down") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, IndexError and more
        raise DataError(f"broken or truncated image ({error}); copy it again") from error


def reject_huge_image(width: int, height: int, what: str = "") -> None:
    """Raise a `DataError` for more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise DataError(f"huge {what}image: {width} x {height}, at most {MAX_PIXELS:,} pixels; scale it down")
