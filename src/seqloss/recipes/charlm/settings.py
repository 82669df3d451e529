"""Settings of a run of the language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from seqloss.errors import OptionError, unknown_choice
from seqloss.training.settings import LEARNING_RATES, TrainingSettings

WORDS = ("characters", "table")


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the charlm recipe; those of every recipe are in `TrainingSettings`."""

    learning_rates: ClassVar[Mapping[str, float]] = {**LEARNING_RATES, "adamw": 4e-3, "adam": 4e-3}

    data: Annotated[
        str | None,
        "Text file in UTF-8, or folder of .txt, .rst and .md files. Default: the docstrings and help pages that come "
        "with Python.",
    ] = None
    words: Annotated[
        str,
        "How the network reads words: characters, or table (a trained vector for each word of the vocabulary).",
    ] = "characters"
    min_count: Annotated[int, "Words that the training text has less often are <unk> as output."] = 2
    word_size: Annotated[int, "Values of the vector of a word, at least 21."] = 315
    size: Annotated[int, "Values of the state of the LSTM."] = 200
    layers: Annotated[int, "Layers of the LSTM."] = 1
    word_dropout: Annotated[float, "Share of the values of words' vectors that are set to 0 in training."] = 0.2
    dropout: Annotated[float, "Share of the outputs of the LSTM's layers that are set to 0 in training."] = 0.5
    longest: Annotated[int, "Words of a row; longer paragraphs are cut."] = 64
    show: Annotated[str, "Words, separated by spaces, whose nearest words the report shows."] = "beer beers"
    epochs: Annotated[int, "Maximum number of epochs."] = 15
    batch: Annotated[int, "Batch size, in paragraphs."] = 32
    lr: Annotated[float | None, "Peak learning rate. Default: 0.02 for sgd, 0.0025 for smorms3, else 0.004."] = None
    patience: Annotated[int, "Stop after this many epochs without improvement on the validation split."] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.words not in WORDS:
            raise unknown_choice("--words", self.words, WORDS)
        if self.word_size < 21:
            raise OptionError(f"--word-size: found {self.word_size}, expected at least 21.")
        for name, share in (("--word-dropout", self.word_dropout), ("--dropout", self.dropout)):
            if not 0 <= share < 1:
                raise OptionError(f"{name}: found {share}, expected 0 to less than 1.")
        self._refuse_below_one("min_count", "size", "layers", "longest")

    @property
    def dataset_name(self) -> str:
        name = "python" if self.data is None else Path(self.data).stem
        return name if self.words == "characters" else f"{name}-{self.words}"
