"""The fonts of synthetic words.

Source Sans and Source Serif (SIL Open Font License) and Caladea (Apache-2.0), each from its own package.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from seqloss.errors import missing_extra

try:
    from PIL import ImageFont
except ImportError as error:  # pragma: no cover
    raise missing_extra("Pillow", "train", "rendering words") from error

PACKAGES = ("font_caladea", "font_source_sans_pro", "font_source_serif_pro")


@cache
def find_font_files() -> tuple[Path, ...]:
    """The TrueType files of the three families, without ExtraLight, which is too thin at small sizes."""
    found: list[Path] = []
    for package in PACKAGES:
        try:
            folder = Path(str(files(package).joinpath("files")))
        except ModuleNotFoundError as error:
            raise missing_extra(package.replace("_", "-"), "train", "rendering words") from error
        found += sorted(path for path in folder.glob("*.ttf") if "ExtraLight" not in path.name)
    return tuple(found)


@cache
def load_font(face: Path, size: int) -> ImageFont.FreeTypeFont:
    """A font at a size in pixels, cached."""
    return ImageFont.truetype(face, size, layout_engine=ImageFont.Layout.BASIC)
