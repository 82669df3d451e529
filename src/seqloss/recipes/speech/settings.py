"""Settings of a speech run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from seqloss.data.paths import SOUNDS
from seqloss.errors import OptionError
from seqloss.recipes.recognition.settings import FolderSettings, describe_layouts

CHOICES = {
    "units": ("characters", "words", "phones"),
    "subsampling": (2, 4),
    "encoder": ("lstm", "conformer"),
    "normalization": ("global", "utterance"),
}


@dataclass(frozen=True)
class Settings(FolderSettings):
    """Settings of the speech recipe; those of every recipe are in `FolderSettings`."""

    other_defaults = "for synthetic digits"
    kind = SOUNDS
    synthetic_name = "digits"

    data: Annotated[
        str | None,
        "Folder of recordings and their texts in a known layout (docs/guides/data.md), or the file of texts. Default: "
        "strings of digits, spoken by a synthesiser.",
    ] = None
    layout: Annotated[str | None, describe_layouts(SOUNDS)] = None
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
    speed: Annotated[
        bool,
        "Play training recordings at 0.9, 1.0 or 1.1 times their speed, at random. Features from files are "
        "stretched to 0.75 to 1.55 times their tempo, and mixed by a random matrix.",
    ] = True
    synthetic: Annotated[int, "Synthetic recordings per epoch."] = 2048
    validation_synthetic: int = 150
    test_synthetic: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in CHOICES.items():
            self._refuse_other_than(name, known)
        if not 4000 <= self.rate <= 48000:
            raise OptionError(f"--rate: found {self.rate}, expected 4000 to 48000.")
        if self.size < 16 or self.size % 16:
            raise OptionError(f"--size: found {self.size}, expected a multiple of 16 from 16 on.")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"--dropout: found {self.dropout}, expected 0 to less than 1.")
        if self.data is None and self.units == "phones":
            raise OptionError("--units phones needs --data: the synthetic recordings have no phones.")
        self._refuse_below_one("layers")
