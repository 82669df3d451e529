"""Read images of text lines as grey arrays of fixed height.

Only the listed formats are read, because some others (PostScript) start another program. The size in the header is
checked first, so that a small file cannot expand to gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from seqloss.errors import DataError, missing_extra

try:
    from PIL import Image, ImageOps
except ImportError as error:  # pragma: no cover
    raise missing_extra("Pillow", "train", "reading images") from error

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 50_000_000
WIDE_GREYS = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
MODES = ("1", "L", "P", "RGB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", *WIDE_GREYS)


def inspect_image(path: Path) -> tuple[int, int]:
    """Check that an image can be decoded completely.

    Args:
        path: of the image.

    Returns:
        width and height in pixels.

    Raises:
        DataError: it cannot be read; the message says why.
    """
    with open_image(path) as image:
        return image.size


def read_line(path: Path, height: int) -> np.ndarray:
    """Read an image in grey, scaled to a height with the aspect ratio unchanged.

    Args:
        path: of the image.
        height: in pixels.

    Returns:
        uint8 (height, width), 0 for black to 255 for white.

    Raises:
        DataError: it cannot be read; the message says why.
    """
    with open_image(path) as image:
        width = scaled_width(*image.size, height)
        reject_huge_image(width, height, "scaled ")
        line = to_grey(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.array(line, dtype=np.uint8)


def scaled_width(width: int, height: int, to_height: int) -> int:
    """The width of an image after scaling to a height, at least 1."""
    return max(1, round(width * to_height / height))


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The decoded image, rotated as its EXIF tag says; errors of the decoder become a `DataError`."""
    try:
        found = path.is_file()
    except OSError as error:  # a name too long, a folder that may not be entered
        raise DataError(f"cannot be looked for ({error.strerror})") from error
    if not found:
        raise DataError("not an image but a folder or a device" if path.exists() else "no such file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            reject_huge_image(*image.size)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode not in MODES:
                raise DataError(f"colour mode {image.mode} is not read; save it as grey or RGB")
            if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
                raise DataError("the image has NaN or infinite values; save it as 8-bit grey")
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


def to_grey(image: Image.Image) -> Image.Image:
    """The image in 8-bit grey; transparent pixels become white."""
    if image.mode in WIDE_GREYS:
        return convert_wide_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("L")
    return image.convert("L")


def convert_wide_grey(image: Image.Image) -> Image.Image:
    """8-bit grey of an image with more bits: 16-bit values are divided by 257, other types scaled to their range."""
    wide = np.asarray(image).astype(np.float64)
    low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (wide.min(), wide.max())
    return Image.fromarray(np.uint8(np.rint((wide - low) * (255 / max(high - low, 1e-300)))))
