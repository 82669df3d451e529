"""The numbers at the top of the page: the best epoch, and the monitored metric on the test split.

A metric that shares a diagram with the monitored one is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure


def summary_section(record: RunRecord) -> Iterator[Block]:
    """Figures only."""
    yield Block(figures=tuple(_figures(record)))


def _figures(record: RunRecord) -> Iterator[Figure]:
    task, best, monitored = record.task, record.best_epoch, record.task.monitored
    if best:
        value = monitored.format.format(best[f"validation/{monitored.name}"])
        yield Figure(value, f"{monitored.label}, epoch {best['epoch']}")
        for metric in task.metrics:
            if metric != monitored and (metric.chart != monitored.chart or not metric.chart):
                yield Figure(metric.format.format(best[f"validation/{metric.name}"]), f"validation {metric.label}")
    if record.result and (test := record.result.get("test")):
        value = monitored.format.format(test[task.monitor])
        yield Figure(value, f"{monitored.label}, {test['items']} test {task.item}s")
