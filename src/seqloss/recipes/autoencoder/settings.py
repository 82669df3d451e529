"""Settings of an autoencoder run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from seqloss.errors import OptionError, unknown_choice
from seqloss.training.settings import LEARNING_RATES, TrainingSettings

DECODERS = ("code", "previous")


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the autoencoder recipe; those of every recipe are in `TrainingSettings`."""

    learning_rates: ClassVar[Mapping[str, float]] = {**LEARNING_RATES, "adamw": 1e-2, "adam": 1e-2}

    data: Annotated[
        str | None,
        "CSV file of numbers, a row for each time step; a column of times is recognised. Default: synthetic signals.",
    ] = None
    rows: Annotated[int, "Rows of the synthetic signals."] = 6000
    window: Annotated[int, "Steps of a window."] = 50
    step: Annotated[int, "Steps from the start of a training window to the start of the next one."] = 10
    size: Annotated[int, "Values of the code: the state of the LSTMs."] = 100
    layers: Annotated[int, "Layers of the encoder and of the decoder."] = 1
    differences: Annotated[bool, "Learn the differences of successive steps."] = False
    bidirectional: Annotated[bool, "Encode in both directions, instead of decoding in reverse order."] = False
    decoder: Annotated[str, "What the decoder reads: code, or previous (the step before it)."] = "code"
    beta: Annotated[float, "Of F-beta, which chooses the threshold: below 1, precision weighs more."] = 1.0
    quantile: Annotated[
        float | None, "Choose the threshold as this quantile of the scores of normal windows. Default: by F-beta."
    ] = None
    epochs: Annotated[int, "Maximum number of epochs."] = 30
    batch: Annotated[int, "Batch size."] = 32
    lr: Annotated[float | None, "Peak learning rate. Default: 0.02 for sgd, 0.0025 for smorms3, else 0.01."] = None
    patience: Annotated[int, "Stop after this many epochs without improvement on the validation split."] = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse_below_one("step", "size", "layers")
        for name, least in (("window", 2 + self.differences), ("rows", 2)):
            if getattr(self, name) < least:
                raise OptionError(f"--{name}: found {getattr(self, name)}, expected at least {least}.")
        if self.decoder not in DECODERS:
            raise unknown_choice("--decoder", self.decoder, DECODERS)
        if self.bidirectional and self.size % 2:
            raise OptionError(f"--size: found {self.size}, expected an even number with --bidirectional.")
        if not 0 < self.beta < math.inf:
            raise OptionError(f"--beta: found {self.beta}, expected a positive number.")
        if self.quantile is not None and not 0 <= self.quantile <= 1:
            raise OptionError(f"--quantile: found {self.quantile}, expected a share from 0 to 1.")

    @property
    def dataset_name(self) -> str:
        return "synthetic" if self.data is None else Path(self.data).stem
