"""Settings that recipes with a folder of items and texts share, or with synthetic items in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from seqloss.data.layouts import layouts_of
from seqloss.data.paths import ItemKind
from seqloss.errors import OptionError, unknown_choice
from seqloss.training.settings import TrainingSettings


class FolderSettings(TrainingSettings):
    """A recipe adds these fields as options, beside its own.

    Attributes:
        kind: images or sounds.
        synthetic_name: what the run is named after without data.
        data: the folder, or the file with its texts; None for synthetic items.
        layout: of the folder; None to recognise it.
        follow_links: whether links out of the folder are followed.
        synthetic: synthetic items per epoch.
    """

    kind: ClassVar[ItemKind]
    synthetic_name: ClassVar[str]
    data: str | None
    layout: str | None
    follow_links: bool
    synthetic: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse_other_than("layout", (None, *_layout_names(self.kind)))
        if self.data is None and (self.layout or self.items_folder or self.follow_links):
            options = f"--layout, {self.kind.option} and --follow-links"
            raise OptionError(f"{options} need --data: give the folder of the data.")
        self._refuse_below_one("synthetic")

    def _refuse_other_than(self, name: str, known: Sequence[object]) -> None:
        found = getattr(self, name)
        if found not in known:
            raise unknown_choice(f"--{name}", found, [value for value in known if value is not None])

    @property
    def items_folder(self) -> str | None:
        """The folder of the images or sounds, if it is not that of the texts."""
        folder: str | None = getattr(self, self.kind.option.removeprefix("--"))
        return folder

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"epochs": 12, "batch": 32} if given.get("data") is None else {}  # synthetic items differ in every epoch

    @classmethod
    def path_options(cls) -> Sequence[str]:
        return ("data", cls.kind.option.removeprefix("--"))

    @property
    def dataset_name(self) -> str:
        if self.data is None:
            return self.synthetic_name
        return (Path(self.data).parent if Path(self.data).is_file() else Path(self.data)).name

    def to_report(self) -> dict[str, Any]:
        shown = super().to_report()
        if self.data is None:
            return {**shown, "data": self.other_defaults.removeprefix("for ")}
        optional = ("layout", "follow_links", self.kind.option.removeprefix("--"))
        return {k: v for k, v in shown.items() if "synthetic" not in k and (v or k not in optional)}


def describe_layouts(kind: ItemKind) -> str:
    """The help of --layout."""
    return f"Layout of the folder: {', '.join(_layout_names(kind))}. Default: recognised."


def _layout_names(kind: ItemKind) -> list[str]:
    return [layout.name for layout in layouts_of(kind)]
