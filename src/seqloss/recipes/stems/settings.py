"""Settings of a stems run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqloss.errors import OptionError
from seqloss.training.settings import TrainingSettings


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the stems recipe; those of every recipe are in `TrainingSettings`."""

    data: Annotated[
        str | None,
        "File with one word per line. Default: /usr/share/dict/words if it exists, else the 2,600 words that come with "
        "seqloss.",
    ] = None
    language: Annotated[str, "Language of the stemmer, as snowballstemmer calls it."] = "english"
    margin: Annotated[float, "Of the loss, cosine_triplet."] = 0.3
    size: Annotated[int, "Values of the state of the GRU."] = 192
    dimensions: Annotated[int, "Values of an embedding."] = 64
    epochs: Annotated[int, "Maximum number of epochs."] = 3
    batch: Annotated[int, "Batch size."] = 256
    patience: Annotated[int, "Stop after this many epochs without improvement on the validation split."] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.margin >= 0:
            raise OptionError(f"--margin: found {self.margin}, expected 0 or more.")
        self._refuse_below_one("size", "dimensions")

    @property
    def dataset_name(self) -> str:
        return self.language if self.data is None else Path(self.data).stem
