"""Which runs there are, and which are in a file already."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doctor_trial.fault import RECIPES
from doctor_trial.faults import FAULTS

Line = dict[str, Any]


@dataclass(frozen=True)
class Job:
    recipe: str
    fault: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.recipe, self.fault, self.seed


def list_jobs(
    recipes: Sequence[str] | None,
    faults: Sequence[str] | None,
    seeds: Iterable[int],
    kinds: Sequence[str] | None = None,
) -> list[Job]:
    """All runs, seed by seed, so that a file that is not complete yet has all classes early.

    Raises:
        SystemExit: a recipe or fault is not known.
    """
    for found, known in ((recipes, RECIPES), (faults, FAULTS)):
        unknown = set(found or ()) - set(known)
        if unknown:
            raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return [
        Job(recipe, name, seed)
        for seed in seeds
        for name, fault in FAULTS.items()
        if (not faults or name in faults) and (not kinds or fault.kind in kinds)
        for recipe in fault.patches
        if not recipes or recipe in recipes
    ]


def read_lines(file: Path) -> list[Line]:
    """The runs of a file; a last line that was cut off is left out."""
    if not file.exists():
        return []
    found = []
    for line in file.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def key_of(line: Line) -> tuple[str, str, int]:
    return line["recipe"], line["fault"], line["seed"]


def missing(jobs: Sequence[Job], file: Path) -> list[Job]:
    """The runs that a file lacks. A run that ended with an error is in it, and is not tried again."""
    done = {key_of(line) for line in read_lines(file)}
    return [job for job in jobs if job.key not in done]


def append_line(file: Path, line: Line) -> None:
    """One write of one line, after a line break if the last one was cut off."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as out:
        text = json.dumps(line, default=str) + "\n"
        if out.seek(0, os.SEEK_END):
            out.seek(-1, os.SEEK_END)
            text = text if out.read(1) == b"\n" else "\n" + text
        out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())
