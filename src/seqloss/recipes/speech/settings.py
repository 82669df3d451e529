"""Settings of a speech run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloss.data.layouts import layouts_of
from seqloss.data.paths import SOUNDS
from seqloss.errors import OptionError
from seqloss.training.settings import TrainingSettings

LAYOUT_NAMES = [layout.name for layout in layouts_of(SOUNDS)]
CHOICES = {
    "layout": (None, *LAYOUT_NAMES),
    "units": ("characters", "words", "phones"),
    "subsampling": (2, 4),
    "encoder": ("lstm", "conformer"),
    "normalization": ("global", "utterance"),
}


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the speech recipe; those of every recipe are in `TrainingSettings`."""

    other_defaults = "for synthetic digits"

    data: Annotated[
        str | None,
        "Folder of recordings and their texts in a known layout (docs/data.md), or the file with the texts. Default: "
        "strings of digits, spoken by a synthesiser.",
    ] = None
    layout: Annotated[str | None, f"Layout of the folder: {', '.join(LAYOUT_NAMES)}. Default: recognised."] = None
    audio: Annotated[str | None, "Folder of the recordings, if they are not in that of the texts."] = None
    follow_links: Annotated[bool, "Read files and folders behind links that lead out of the data folder."] = False
    units: Annotated[str, "What is predicted: characters, words or phones."] = "characters"
    rate: Annotated[int, "Sampling rate in Hz that recordings are converted to."] = 16000
    subsampling: Annotated[int, "Feature frames per output frame: 2 or 4."] = 4
    encoder: Annotated[str, "lstm (bidirectional) or conformer."] = "lstm"
    size: Annotated[int, "Values of each frame in the encoder, a multiple of 16."] = 256
    layers: Annotated[int, "Layers of the encoder."] = 3
    dropout: Annotated[float, "Share of values that are set to 0 in training."] = 0.2
    normalization: Annotated[
        str, "Of features: global (mean and deviation of the training data) or utterance (of each recording)."
    ] = "global"
    spec_augment: Annotated[bool, "Mask bands of time and frequency in training (SpecAugment)."] = True
    speed: Annotated[bool, "Play training recordings at 0.9, 1.0 or 1.1 times their speed, at random."] = True
    synthetic: Annotated[int, "Synthetic recordings per epoch."] = 2048
    validation_synthetic: int = 150
    test_synthetic: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                known = ", ".join(str(choice) for choice in choices if choice is not None)
                raise OptionError(f"--{name}: found {getattr(self, name)!r}, expected one of {known}.")
        if not 4000 <= self.rate <= 48000:
            raise OptionError(f"--rate: found {self.rate}, expected 4000 to 48000.")
        if self.size < 16 or self.size % 16:
            raise OptionError(f"--size: found {self.size}, expected a multiple of 16 from 16 on.")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"--dropout: found {self.dropout}, expected 0 to less than 1.")
        if self.data is None and (self.layout or self.audio or self.follow_links):
            raise OptionError("--layout, --audio and --follow-links need --data: give the folder of the data.")
        if self.data is None and self.units == "phones":
            raise OptionError("--units phones needs --data: the synthetic recordings have no phones.")
        self._refuse_below_one("layers", "synthetic")

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"epochs": 12, "batch": 32} if given.get("data") is None else {}  # synthetic texts differ in every epoch

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Settings:
        paths = {name: str(Path(given[name]).resolve()) for name in ("data", "audio") if given.get(name) is not None}
        return super().from_options({**given, **paths})

    @property
    def dataset_name(self) -> str:
        if self.data is None:
            return "digits"
        return (Path(self.data).parent if Path(self.data).is_file() else Path(self.data)).name

    def to_report(self) -> dict[str, Any]:
        shown = super().to_report()
        if self.data is None:
            shown["data"] = "synthetic digits"
        else:
            shown = {name: value for name, value in shown.items() if "synthetic" not in name}
        return {
            name: value for name, value in shown.items() if name not in ("layout", "audio", "follow_links") or value
        }
