"""The section of the report that the autoencoder recipe adds: input, reconstruction and score over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from markupsafe import Markup

from seqloss.errors import DataError, OptionError, RunError
from seqloss.recipes.autoencoder.data import Windows
from seqloss.recipes.autoencoder.network import Network
from seqloss.recipes.autoencoder.report_drawing import CHANNELS, Shown, draw_series
from seqloss.recipes.autoencoder.scoring import Detector, Errors, window_scores
from seqloss.recipes.autoencoder.series import detector_of, reconstruct, scores_over_steps, windows_of
from seqloss.recipes.autoencoder.table_task import TableTask
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure, render_template
from seqloss.training.predictor import Predictor

SHOWN = 12
"""Windows in the diagram; every second one with an anomaly."""

AVERAGE = 0.5
"""A reconstruction whose error is above this share of that of the average says little more than the average."""


def reconstruction_section(record: RunRecord) -> Iterator[Block]:
    """Test windows with their reconstruction and score; or why there are none."""
    try:
        values = _read(record, cast(TableTask, record.task))
    except (RunError, DataError, OptionError, OSError) as problem:
        values = {"drawn": None, "trouble": str(problem).splitlines()[0].rstrip(":"), "figures": ()}
    html = render_template("seqloss.recipes.autoencoder", "reconstruction.html", **values)
    yield Block("Reconstruction and anomalies", html, values["figures"])


def _read(record: RunRecord, task: TableTask) -> dict[str, Any]:
    predictor = Predictor(task, record.run)
    network, sources = cast(Network, predictor.network), task.load_data(skip_bad=True).sources
    split = "test" if "test" in sources else "train"
    source = cast(Windows, sources[split])
    detector, anomalous = None, None
    if split == "test":
        normal, planted, anomalous = windows_of(source)
        detector = detector_of(network, cast(Windows, sources["validation"]), task.settings)
    else:
        normal = planted = torch.stack([source.item(0, index).values for index in range(len(source))])
    found = reconstruct(network, normal, task.settings.batch)
    values = {
        "drawn": Markup(draw_series(_show(task, network, source, planted, anomalous, detector))),
        "split": split,
        "words": compare_with_average(*found.mean_error, task.settings.size, task.settings.differences),
        "settings": task.settings,
        "channels": min(CHANNELS, len(task.names)),
        "all_channels": len(task.names),
        "threshold": detector and detector.threshold,
    }
    return {**values, **_count(task, network, found.errors, planted, detector, record)}


def _show(
    task: TableTask, network: Network, source: Windows, planted: torch.Tensor,
    anomalous: torch.Tensor | None, detector: Detector | None,
) -> Shown:  # fmt: skip
    """Windows in the order of time, every second one with its anomaly."""
    count, steps = min(SHOWN, len(source)), task.settings.window
    windows = torch.stack([source.item(0, index).values for index in range(count)])
    marked = np.zeros((count, steps), bool)
    if anomalous is not None:
        windows[1::2], marked[1::2] = planted[1:count:2], anomalous[1:count:2].numpy()
    found = reconstruct(network, windows, task.settings.batch)
    scale = task.scale
    assert scale is not None
    inputs, outputs = (
        (part * scale.deviation + scale.mean).reshape(count * steps, -1) for part in (found.inputs, found.outputs)
    )
    rows = np.concatenate([np.arange(start, start + steps) + 1 for start in source.starts[:count]])
    scores = None if detector is None else scores_over_steps(detector, found.errors, steps).flatten()
    return Shown(
        rows, inputs, outputs, scores, marked.flatten(), task.names, detector.threshold if detector else 0.0, steps
    )


def _count(
    task: TableTask, network: Network, normal: np.ndarray, planted: torch.Tensor, detector: Detector | None,
    record: RunRecord,
) -> dict[str, Any]:  # fmt: skip
    """How many windows of the test split are called anomalous, rightly and wrongly; figures for the top of the page."""
    if detector is None:
        return {"figures": ()}
    errors = Errors(normal, reconstruct(network, planted, task.settings.batch).errors)
    scores, truth = window_scores(detector.distribution, errors)
    called, measured = scores > detector.threshold, detector.measure(errors, task.settings.beta)
    figures = tuple(
        Figure(metric.format.format(getattr(measured, metric.name)), f"{metric.label}, test windows")
        for metric in task.metrics
    )
    counts = {"windows": len(normal), "found": int((called & truth).sum()), "false": int((called & ~truth).sum())}
    return {"figures": figures, "counts": counts}


def compare_with_average(error: float, average: float, size: int, differences: bool) -> str:
    """What the error of the reconstruction means, beside that of each window's own average, in words.

    Example:
        >>> compare_with_average(0.02, 1.0, 100, False)
        "Mean squared error 0.02. The average of each window has 1: 2% of a window's variance is left."
    """
    what = "differences" if differences else "steps"
    words = f"Mean squared error {error:.3g}. The average of each window has {average:.3g}: "
    share = error / average if average > 0 else float("inf")
    if share <= AVERAGE:
        return words + f"{share:.0%} of a window's variance is left."
    return words + (
        f"the network predicts little more than the average of the {what}. A code of {size} values may be too small to "
        "tell them apart, or the training too short: give a larger --size, more --epochs, or another --lr."
    )
