"""One image of a line of text: looked at before training, read as a grey array of fixed height.

The formats are named, so that a file never starts another program (as PostScript would), and the size is
judged by the header, so that a small file never unfolds to gigabytes.
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
    """(width, height) of an image that decodes to its last pixel; else a `DataError` that says why not."""
    with opened(path) as image:
        return image.size


def read_line(path: Path, height: int) -> np.ndarray:
    """The image in greys, 0 black to 255 white, scaled with its aspect kept: uint8 (height, width)."""
    with opened(path) as image:
        width = scaled_width(*image.size, height)
        refuse_huge(width, height, "scaled ")
        line = grey(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.array(line, dtype=np.uint8)


def scaled_width(width: int, height: int, to_height: int) -> int:
    """The width, at least 1, of an image that is scaled to another height."""
    return max(1, round(width * to_height / height))


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The decoded image, upright; whatever the decoder stumbles over is a `DataError`."""
    try:
        found = path.is_file()
    except OSError as error:  # a name too long, a folder that may not be entered
        raise DataError(f"cannot be looked for ({error.strerror})") from error
    if not found:
        raise DataError("no image but a folder or a device" if path.exists() else "no such file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            refuse_huge(*image.size)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode not in MODES:
                raise DataError(f"colour mode {image.mode} is not read; save it as grey or RGB")
            if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
                raise DataError("the image holds NaN or infinite greys; save it as 8-bit grey")
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


def refuse_huge(width: int, height: int, what: str = "") -> None:
    if width * height > MAX_PIXELS:
        raise DataError(f"huge {what}image: {width} x {height}, at most {MAX_PIXELS:,} pixels; scale it down")


def grey(image: Image.Image) -> Image.Image:
    """The image in 8-bit greys; what is transparent shows white."""
    if image.mode in WIDE_GREYS:
        return narrow_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("L")
    return image.convert("L")


def narrow_grey(image: Image.Image) -> Image.Image:
    """16-bit greys over 257; 32-bit and float greys, having no fixed range, stretched from least to most."""
    wide = np.asarray(image).astype(np.float64)
    low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (wide.min(), wide.max())
    return Image.fromarray(np.uint8(np.rint((wide - low) * (255 / max(high - low, 1e-300)))))
