"""What a run has recorded, read for its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from seqloss.doctor.findings import Findings
from seqloss.errors import RunError
from seqloss.training.best_epoch import rank_epoch
from seqloss.training.findings import read_findings
from seqloss.training.run import Run
from seqloss.training.task import Task


@dataclass(frozen=True)
class RunRecord:
    """What sections are made of.

    Attributes:
        task: of the run, with its settings; defines what is monitored and how values are formatted.
        run: its folder.
        name: of the run.
        settings: names and values, as words.
        saved: RUN/settings.json.
        history: see `seqloss.training.history`.
        result: RUN/result.json of a finished run, else None.
        findings: of the doctor; None if the run was not examined.
    """

    task: Task
    run: Run
    name: str
    settings: list[tuple[str, str]]
    saved: dict[str, Any]
    history: dict[str, Any]
    result: dict[str, Any] | None
    findings: Findings | None = None

    @property
    def points(self) -> list[dict[str, Any]]:
        """Means over a few steps each."""
        return self.history["points"]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """Metrics at the end of each epoch."""
        return self.history["epochs"]

    @property
    def validated_epochs(self) -> list[dict[str, Any]]:
        """The epochs in which the monitored metric was measured."""
        return [epoch for epoch in self.epochs if f"validation/{self.task.monitor}" in epoch]

    @property
    def best_epoch(self) -> dict[str, Any] | None:
        """The epoch whose weights are kept; None if nothing was held out."""
        return min(self.validated_epochs, key=lambda epoch: rank_epoch(self.task, epoch), default=None)


def read_record(task: Task, run: Run) -> RunRecord:
    """Read a run, finished or not.

    Raises:
        RunError: the folder contains no run that has taken a step.
    """
    saved, history = run.read_json("settings"), run.read_json("history")
    if saved is None:
        raise RunError(f"{run.folder}: contains no run; train one with: seqloss train {task.name} --out {run.folder}")
    if history is None and not run.best.exists():
        raise RunError(f"{run.folder}: has taken no step yet; try again later, or train it first.")
    history = {"points": [], "epochs": [], "clip": None, "trainer": {}, "versions": {}, **(history or {})}
    settings = {"recipe": task.name, **task.settings.to_report(), **history["trainer"]}
    return RunRecord(
        task=task,
        run=run,
        name=run.folder.name,
        settings=[(name, str(value)) for name, value in settings.items()],
        saved=saved,
        history=history,
        result=run.read_json("result"),
        findings=read_findings(run),
    )


def share_of_clipped_steps(points: Sequence[dict[str, Any]]) -> float:
    """The share of all steps whose gradient was clipped."""
    steps = [after["step"] - before["step"] for before, after in pairwise([{"step": 0}, *points])]
    return sum(point["clipped"] * n for point, n in zip(points, steps, strict=True)) / max(1, sum(steps))
