"""The trainings of benchmarks/tuning.py: one thing is changed at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

ROWS = {"captcha": (30, 100, 300, 842), "fraktur": (30, 100, 300, 490)}
"""For training; the last number is all of the training split."""
EPOCHS = {"captcha": 60, "fraktur": 20}
"""On all rows. On fewer rows a training has as many updates, but at most `LONGEST` epochs."""
LONGEST = 600
COMMANDS = {
    "captcha": ("ocr", "--images", {"batch": 16}),
    "fraktur": ("ocr", "--images", {"height": 32, "batch": 8}),
    "fsdd": (
        "speech", "--audio", {"rate": 8000, "subsampling": 2, "size": 128, "layers": 2, "batch": 32, "epochs": 15},
    ),
}  # fmt: skip
"""The recipe, its option for the folder of files, and the options of all trainings."""


@dataclass(frozen=True)
class Training:
    """One training of the command line.

    Attributes:
        name: of the line in the results.
        data: "captcha", "fraktur" or "fsdd".
        rows: of the training split; None for all.
        options: of the command line, beside those of all trainings on that data. True: a flag without a value.
    """

    name: str
    data: str
    rows: int | None = None
    options: dict[str, int | float] = field(default_factory=dict)

    def arguments(self, manifest: Path, folder: Path) -> list[str]:
        recipe, files, options = COMMANDS[self.data]
        given = {**options, **self.options}
        words = [
            word for name, value in given.items() for word in (f"--{name}", *([] if value is True else [str(value)]))
        ]
        return ["train", recipe, "--data", str(manifest), files, str(folder), "--no-examine", *words]


def with_rows(data: str, rows: int) -> Training:
    """As many updates as on all rows; it stops early when half of them bring nothing."""
    epochs = min(LONGEST, EPOCHS[data] * ROWS[data][-1] // rows)
    return Training(f"{data}, {rows} rows", data, rows, {"epochs": epochs, "patience": epochs // 2})


def stopped(rows: int, patience: int) -> Training:
    found = with_rows("captcha", rows)
    return replace(found, name=f"{found.name}, patience {patience}", options={**found.options, "patience": patience})


def one_change(option: str, *values: float) -> list[Training]:
    return [Training(f"fsdd, {option} {value:g}", "fsdd", None, {option: value}) for value in values]


STUDIES = {
    "captcha": [with_rows("captcha", rows) for rows in ROWS["captcha"]],
    "rate": one_change("lr", 2e-4, 6e-4, 2e-3, 6e-3, 2e-2),
    "batch": one_change("batch", 8, 16, 64, 128),
    # five training rows are too short for their digit
    "subsampling": [Training("fsdd, subsampling 4", "fsdd", None, {"subsampling": 4, "skip-bad": True})],
    "stopping": [stopped(100, patience) for patience in (10, 30)],
    "fraktur": [with_rows("fraktur", rows) for rows in ROWS["fraktur"]],
}
