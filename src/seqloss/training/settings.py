"""Settings of a run, which determine its result, and options, which do not.

`seqloss train RECIPE` takes its options from the dataclasses below and from the recipe's own settings: a field
annotated with a help text is an option, and its default stands here alone. This module imports no framework.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from seqloss.errors import OptionError, unknown_choice

LEARNING_RATES = {"adamw": 2e-3, "adam": 2e-3, "sgd": 2e-2, "smorms3": 2.5e-3}
"""The optimizers, each with the learning rate that it gets if none is given."""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings that all recipes have. A recipe adds fields in a subclass.

    A run is resumed with the same settings only, as they decide the weights that it ends with.

    Raises:
        OptionError: a value is out of range.
    """

    other_defaults: ClassVar[str] = ""  # when those of `defaults_for({})` hold, for the help

    epochs: Annotated[int, "Maximum number of epochs."] = 60
    batch: Annotated[int, "Batch size."] = 16
    seed: Annotated[int, "Random seed. The same seed gives the same weights."] = 0
    learning_rates: ClassVar[Mapping[str, float]] = LEARNING_RATES
    """By optimizer; a recipe may have other ones."""

    optimizer: Annotated[str, "adamw, adam, sgd or smorms3."] = "adamw"
    lr: Annotated[float | None, "Peak learning rate. Default: 0.02 for sgd, 0.0025 for smorms3, else 0.002."] = None
    patience: Annotated[int, "Stop after this many epochs without improvement on the validation split."] = 30

    def __post_init__(self) -> None:
        if self.optimizer not in LEARNING_RATES:
            raise unknown_choice("--optimizer", self.optimizer, list(LEARNING_RATES))
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed: found {self.seed}, expected 0 to {2**32 - 1}.")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise OptionError(f"--lr: found {self.lr}, expected a positive number.")
        self._refuse_below_one("epochs", "batch", "patience")

    def _refuse_below_one(self, *names: str) -> None:
        for name in names:
            if getattr(self, name) < 1:
                raise OptionError(f"--{name.replace('_', '-')}: found {getattr(self, name)}, expected at least 1.")

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: the one given, else the optimizer's usual one."""
        return self.lr or self.learning_rates[self.optimizer]

    @property
    def dataset_name(self) -> str:
        """Names the default folder of a run: runs/RECIPE-NAME."""
        return "default"

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults that depend on other options; override it where there are any."""
        return {}

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """Settings from those options that a person gave."""
        paths = {name: str(Path(given[name]).resolve()) for name in cls.path_options() if given.get(name) is not None}
        return cls(**{**cls.defaults_for(given), **given, **paths})

    @classmethod
    def path_options(cls) -> Sequence[str]:
        """Names of options that are made absolute paths, so that a run finds its data from any folder."""
        return ("data",)

    @classmethod
    def from_saved(cls, saved: Mapping[str, Any]) -> Self:
        """Settings from RUN/settings.json, which also holds the recipe's name and digests."""
        return cls(**{field.name: saved[field.name] for field in fields(cls) if field.name in saved})

    def to_report(self) -> dict[str, Any]:
        """Names and values that the report lists."""
        return {**asdict(self), "lr": self.learning_rate}


@dataclass(frozen=True)
class RunOptions:
    """How a run is executed. A resumed run may have other options.

    Raises:
        OptionError: a value is out of range.
    """

    skip_bad: Annotated[bool, "Skip invalid rows and list them in RUN/skipped.csv."] = False
    fresh: Annotated[bool, "Start over. An earlier run in that folder is renamed to RUN.old-1."] = False
    examine: Annotated[bool, "Examine the training before it starts, and watch it; see docs/guides/doctor.md."] = True
    workers: Annotated[int, "Worker processes that prepare batches."] = 1
    accelerator: Annotated[str, "Lightning accelerator: auto, cpu, gpu, ..."] = "auto"
    devices: Annotated[str, "Lightning devices: a number or a list of indices."] = "auto"
    precision: Annotated[str, "Lightning precision: 32-true, 16-mixed, bf16-mixed, ..."] = "32-true"

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise OptionError(f"--workers: found {self.workers}, expected at least 0.")

    def for_trainer(self) -> dict[str, Any]:
        """The options that go to Lightning's Trainer or Fabric."""
        return {"accelerator": self.accelerator, "devices": self.devices, "precision": self.precision}
