"""Settings of an OCR run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloss.data.layouts import layouts_of
from seqloss.data.paths import IMAGES
from seqloss.data.texts import NORMALIZATIONS
from seqloss.errors import OptionError
from seqloss.training.settings import TrainingSettings

LAYOUT_NAMES = [layout.name for layout in layouts_of(IMAGES)]
ROTATIONS = (0, 90, 180, 270)
DIRECTIONS = ("auto", "ltr", "rtl", "visual")


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the OCR recipe; those of every recipe are in `TrainingSettings`."""

    other_defaults = "for synthetic words"

    data: Annotated[
        str | None,
        "Folder of images and their texts in a known layout (docs/data.md), or the file with the texts. Default: "
        "synthetic words, rendered on the fly.",
    ] = None
    layout: Annotated[str | None, f"Layout of the folder: {', '.join(LAYOUT_NAMES)}. Default: recognised."] = None
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
        if not 16 <= self.height <= 512 or self.height % 16:
            raise OptionError(f"--height: found {self.height}, expected a multiple of 16 from 16 to 512.")
        if self.layout is not None and self.layout not in LAYOUT_NAMES:
            raise OptionError(f"--layout: found {self.layout!r}, expected one of {', '.join(LAYOUT_NAMES)}.")
        if self.data is None and (self.layout or self.images or self.follow_links):
            raise OptionError("--layout, --images and --follow-links need --data: give the folder of the data.")
        self._refuse_below_one("synthetic")
        self._refuse_other_than("rotate", ROTATIONS)
        self._refuse_other_than("normalize", NORMALIZATIONS)
        self._refuse_other_than("direction", DIRECTIONS)

    def _refuse_other_than(self, name: str, known: Sequence[object]) -> None:
        found = getattr(self, name)
        if found not in known:
            raise OptionError(f"--{name}: found {found!r}, expected one of {', '.join(map(str, known))}.")
        if self.data is None and found != known[0]:
            raise OptionError(f"--{name}: is for the images of a folder; give it with --data, or leave it out.")

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"epochs": 12, "batch": 32} if given.get("data") is None else {}  # synthetic words differ in every epoch

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Settings:
        paths = {name: str(Path(given[name]).resolve()) for name in ("data", "images") if given.get(name) is not None}
        return super().from_options({**given, **paths})

    @property
    def dataset_name(self) -> str:
        if self.data is None:
            return "synthetic"
        return (Path(self.data).parent if Path(self.data).is_file() else Path(self.data)).name

    def to_report(self) -> dict[str, Any]:
        shown = super().to_report()
        if self.data is None:
            return {**shown, "data": "synthetic words"}
        unused = ["images", "layout", "follow_links"]
        return {k: v for k, v in shown.items() if "synthetic" not in k and not (k in unused and not v)}
