"""Settings of an OCR run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloss.errors import OptionError
from seqloss.training.settings import TrainingSettings


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """Settings of the OCR recipe; those of every recipe are in `TrainingSettings`."""

    other_defaults = "for synthetic words"

    data: Annotated[
        str | None,
        "Folder with manifest.csv or manifest.jsonl (columns path, text, optionally split), such a file, or a folder "
        "of images named after their texts. Default: synthetic words, rendered on the fly.",
    ] = None
    height: Annotated[int, "Height in pixels that each line is scaled to."] = 32
    synthetic: Annotated[int, "Synthetic words per epoch."] = 8192
    validation_synthetic: int = 150
    test_synthetic: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.height <= 512 or self.height % 16:
            raise OptionError(f"--height: found {self.height}, expected a multiple of 16 from 16 to 512.")
        self._refuse_below_one("synthetic")

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"epochs": 12, "batch": 32} if given.get("data") is None else {}  # synthetic words differ in every epoch

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Settings:
        data = {} if given.get("data") is None else {"data": str(Path(given["data"]).resolve())}
        return super().from_options({**given, **data})

    @property
    def dataset_name(self) -> str:
        if self.data is None:
            return "synthetic"
        return (Path(self.data).parent if Path(self.data).is_file() else Path(self.data)).name

    def to_report(self) -> dict[str, Any]:
        shown = super().to_report()
        if self.data is None:
            return {**shown, "data": "synthetic words"}
        return {name: value for name, value in shown.items() if "synthetic" not in name}
