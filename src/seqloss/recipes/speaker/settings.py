"""Settings of a speaker run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloss.data.layouts import layouts_of
from seqloss.data.paths import SOUNDS
from seqloss.errors import OptionError, unknown_choice
from seqloss.training.settings import TrainingSettings

LOSSES = ("pairwise_kl_hinge", "cosine_triplet")


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the speaker recipe; those of every recipe are in `TrainingSettings`."""

    data: Annotated[
        str | None, "Folder of recordings with a manifest.csv (docs/guides/data.md), or the file of labels. Required."
    ] = None
    column: Annotated[str, "Column of the labels. Layouts without columns have a label in place of a text."] = "speaker"
    leave_out: Annotated[
        str | None, "A label that is not trained: its recordings are a second test, beside those of the test split."
    ] = None
    layout: Annotated[str | None, "Layout of the folder, see docs/guides/data.md. Default: recognised."] = None
    audio: Annotated[str | None, "Folder of the recordings, if they are not in that of the labels."] = None
    follow_links: Annotated[bool, "Read files and folders behind links that lead out of the data folder."] = False
    loss: Annotated[str, "pairwise_kl_hinge or cosine_triplet."] = "pairwise_kl_hinge"
    margin: Annotated[float | None, "Of the loss. Default: 2 (nats) for pairwise_kl_hinge, else 0.3."] = None
    rate: Annotated[int, "Sampling rate in Hz that recordings are converted to."] = 8000
    size: Annotated[int, "Channels of the convolutions."] = 128
    dimensions: Annotated[int, "Values of an embedding."] = 64
    dropout: Annotated[float, "Share of values that are set to 0 in training."] = 0.2
    speed: Annotated[
        bool,
        "Play training recordings at 0.9, 1.0 or 1.1 times their speed, at random. At another speed, a speaker counts "
        "as another one.",
    ] = True
    spec_augment: Annotated[bool, "Mask bands of time and frequency in training (SpecAugment)."] = True
    epochs: Annotated[int, "Maximum number of epochs."] = 15
    batch: Annotated[int, "Batch size."] = 64
    patience: Annotated[int, "Stop after this many epochs without improvement on the validation split."] = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is None:
            raise OptionError("--data is missing: give the folder of the recordings.")
        names = [layout.name for layout in layouts_of(SOUNDS)]
        for name, known in (("loss", LOSSES), ("layout", (None, *names))):
            if getattr(self, name) not in known:
                raise unknown_choice(f"--{name}", getattr(self, name), [value for value in known if value])
        if self.margin is not None and not self.margin >= 0:
            raise OptionError(f"--margin: found {self.margin}, expected 0 or more.")
        if not 4000 <= self.rate <= 48000:
            raise OptionError(f"--rate: found {self.rate}, expected 4000 to 48000.")
        if not 0 <= self.dropout < 1:
            raise OptionError(f"--dropout: found {self.dropout}, expected 0 to less than 1.")
        if not self.column.strip():
            raise OptionError("--column: found an empty name, expected the column of the labels.")
        self._refuse_below_one("size")
        if self.dimensions < 2:
            raise OptionError(f"--dimensions: found {self.dimensions}, expected at least 2.")

    @classmethod
    def path_options(cls) -> Sequence[str]:
        return ("data", "audio")

    @property
    def dataset_name(self) -> str:
        folder = Path(self.data or "")
        name = (folder.parent if folder.is_file() else folder).name
        return name if self.leave_out is None else f"{name}-without-{Path(self.leave_out).name}"

    def to_report(self) -> dict[str, Any]:
        optional = ("layout", "follow_links", "audio", "leave_out", "margin")
        return {
            name: value
            for name, value in super().to_report().items()
            if name not in optional or (value is not None and value is not False)
        }
