"""Anomaly scores of a new file by a trained run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from seqloss.counts import format_count
from seqloss.data import make_rows_error
from seqloss.data.number_tables import read_number_table
from seqloss.errors import DataError, RunError
from seqloss.recipes.autoencoder.data import Windows, find_starts
from seqloss.recipes.autoencoder.network import Network
from seqloss.recipes.autoencoder.series import detector_of, reconstruct, scores_over_steps
from seqloss.recipes.autoencoder.table_task import TableTask


@dataclass(frozen=True)
class ScoredFile:
    """The score of each row of a file.

    Attributes:
        path: of the file.
        threshold: a score above it is called an anomaly.
        rows: numbers of the scored rows, from 1; those after the last full window are not scored.
        scores: of these rows.
    """

    path: str
    threshold: float
    rows: list[int]
    scores: list[float]

    def __str__(self) -> str:
        found = [(row, score) for row, score in zip(self.rows, self.scores, strict=True) if score > self.threshold]
        lines = [f"{self.path}: {len(found)} of {len(self.rows)} rows have a score above {self.threshold:.4g}"]
        return "\n".join([*lines, *(f"row {row}\t{score:.4g}" for row, score in found)])


def score_file(task: TableTask, network: Network, given: Any) -> ScoredFile:
    """Score a file by the scale and the detector of the run's own data, which must still be there.

    Raises:
        DataError: the file has bad rows, other channels, or no full window.
        RunError: the run held nothing out.
    """
    table, bad = read_number_table(Path(given))
    if bad:
        raise make_rows_error(bad, skippable=False)
    sources = task.load_data(skip_bad=True).sources
    if list(table.names) != list(task.names):
        raise DataError(f"{given}: found the channels {', '.join(table.names)}, expected {', '.join(task.names)}.")
    if "validation" not in sources:
        raise RunError("the run held nothing out, so it has no scores; train on a table of at least ten windows.")
    assert task.scale is not None
    starts = find_starts(table.places, 0, len(table.values), task.settings, "test")
    if not starts:
        found = format_count(len(table.values), "row")
        raise DataError(f"{given}: found {found}, expected at least {task.settings.window}, a window.")
    detector = detector_of(network, cast(Windows, sources["validation"]), task.settings)
    windows = Windows(task.scale.apply(table.values), starts, task.settings.window, "train", 0)
    values = torch.stack([windows.item(0, index).values for index in range(len(windows))])
    scores = scores_over_steps(detector, reconstruct(network, values, task.settings.batch).errors, values.shape[1])
    rows = [start + step + 1 for start in starts for step in range(values.shape[1])]
    return ScoredFile(str(given), detector.threshold, rows, scores.flatten().tolist())
