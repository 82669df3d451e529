"""The table of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seqloss.report.record import RunRecord
from seqloss.report.section import Block, render_template
from seqloss.training.task import Metric


def epochs_section(record: RunRecord) -> Iterator[Block]:
    """A row per epoch: the task's metrics, losses and time."""
    if not record.epochs:
        return
    metrics = [(f"validation/{metric.name}", metric) for metric in record.task.metrics]
    loss = record.task.all_metrics[0]
    columns = [*metrics, ("loss", loss), ("validation/loss", loss)]
    heads = [*(metric.label for _, metric in metrics), "training loss", "validation loss"]
    rows = [
        (epoch["epoch"], [_format(metric, epoch.get(name)) for name, metric in columns], f"{epoch['seconds']:.0f}")
        for epoch in record.epochs
    ]
    yield Block("Epochs", render_template("seqloss.report", "epochs.html", heads=heads, rows=rows))


def _format(metric: Metric, value: Any) -> str:
    return "" if value is None else metric.format.format(value)
