"""Images in 8-bit grey, so that their ink stays visible."""

from __future__ import annotations

import numpy as np

from seqloss.errors import DataError, missing_extra

try:
    from PIL import Image
except ImportError as error:  # pragma: no cover
    raise missing_extra("Pillow", "train", "reading images") from error

WIDE_GREYS = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
MODES = ("1", "L", "P", "RGB", "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", *WIDE_GREYS)

PAPER_SPREAD = 100
"""Opaque pixels whose greys are further apart than this are paper and ink; closer ones may be ink alone."""

FEWEST_LEVELS = 32
"""A 16-bit colour image with fewer levels in its upper byte has lost its ink there."""


def to_grey(image: Image.Image) -> Image.Image:
    """The image in 8-bit grey; wide ranges are stretched, and transparent pixels get a background."""
    if image.mode in WIDE_GREYS:
        return stretch_wide_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, choose_background(image)), image).convert("L")
    return image.convert("L")


def stretch_wide_grey(image: Image.Image) -> Image.Image:
    """8-bit grey of an image with more bits, from its smallest value to its largest."""
    wide = np.asarray(image).astype(np.float64)
    low, high = wide.min(), wide.max()
    return Image.fromarray(np.uint8(np.rint((wide - low) * (255 / max(high - low, 1e-300)))))


def choose_background(image: Image.Image) -> str:
    """ "white" or "black" for the transparent pixels of an RGBA image: opposite to its ink.

    If most pixels are opaque and have both dark and light greys, they include the paper, and the background is as the
    paper. Otherwise the opaque pixels are the ink.
    """
    alpha = np.asarray(image.getchannel("A"))
    opaque = alpha >= min(128, max(1, int(alpha.max())))
    greys = np.asarray(image.convert("L"))[opaque]
    if not greys.size:
        return "white"
    low, high = np.percentile(greys, [5, 95])
    if opaque.mean() > 0.5 and high - low > PAPER_SPREAD:
        return "white" if np.median(greys) >= 128 else "black"
    return "white" if greys.mean() < 128 else "black"


def describe_missing_content(image: Image.Image, grey: Image.Image) -> str:
    """Why there is nothing to read in an image; "" if there is.

    Args:
        image: as decoded.
        grey: the same by `to_grey`.
    """
    transparent = image.mode not in WIDE_GREYS and image.has_transparency_data
    if transparent and not image.convert("RGBA").getchannel("A").getbbox():
        return "every pixel is transparent, nothing to read; save it with opaque ink"
    if has_contrast(grey):
        return ""
    if image.mode not in WIDE_GREYS and any(map(has_contrast, image.convert("RGB").split())):
        return "its colours have the same brightness, nothing to read in grey; save it as dark ink on light paper"
    return "one colour, nothing to read; remove it, or save it again"


def has_contrast(band: Image.Image) -> bool:
    """Whether the pixels of an image of one band differ."""
    low, high = band.getextrema()
    return low != high


def reject_shallow_colours(image: Image.Image) -> None:
    """Raise a `DataError` for 16-bit colours that use the lower byte only: Pillow keeps the upper one."""
    if image.mode not in WIDE_GREYS and np.asarray(image).max(initial=0) < FEWEST_LEVELS:
        raise DataError("16-bit colours of which only the darkest eighth is used; save it as 8-bit colours or as grey")
