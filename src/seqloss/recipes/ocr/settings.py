"""Settings of an OCR run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from seqloss.data.line_heights import check_height
from seqloss.data.paths import IMAGES
from seqloss.data.texts import NORMALIZATIONS
from seqloss.errors import OptionError
from seqloss.recipes.recognition.settings import FolderSettings, describe_layouts

ROTATIONS = (0, 90, 180, 270)
DIRECTIONS = ("auto", "ltr", "rtl", "visual")


@dataclass(frozen=True)
class Settings(FolderSettings):
    """Settings of the OCR recipe; those of every recipe are in `FolderSettings`."""

    other_defaults = "for synthetic words"
    kind = IMAGES
    synthetic_name = "synthetic"

    data: Annotated[
        str | None,
        "Folder of images and their texts in a known layout (docs/guides/data.md), or the file of texts. Default: "
        "synthetic words, rendered on the fly.",
    ] = None
    layout: Annotated[str | None, describe_layouts(IMAGES)] = None
    images: Annotated[str | None, "Folder of the images, if they are not in that of the texts."] = None
    follow_links: Annotated[bool, "Read files and folders behind links that lead out of the data folder."] = False
    height: Annotated[int, "Height in pixels that each line is scaled to."] = 32
    rotate: Annotated[int, "Turn every image clockwise by 90, 180 or 270 degrees, after its EXIF orientation."] = 0
    normalize: Annotated[str, "Unicode normal form of the texts: NFC, NFKC or none."] = "NFC"
    direction: Annotated[
        str,
        "Base direction of the texts: ltr, rtl, or auto for that of each text's first letter; visual if they are "
        "stored in the order in which the images show them.",
    ] = "auto"
    synthetic: Annotated[int, "Synthetic words per epoch."] = 8192
    validation_synthetic: int = 150
    test_synthetic: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        check_height(self.height)
        for name, known in {"rotate": ROTATIONS, "normalize": NORMALIZATIONS, "direction": DIRECTIONS}.items():
            self._refuse_other_than(name, known)
            if self.data is None and getattr(self, name) != known[0]:
                raise OptionError(f"--{name}: is for the images of a folder; give it with --data, or leave it out.")
