"""Input, reconstruction and score of an autoencoder that is trained on synthetic signals."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqloss.recipes.autoencoder.series import detector_of, reconstruct, scores_over_steps, windows_of
from seqloss.recipes.autoencoder.settings import Settings
from seqloss.recipes.autoencoder.task import AutoencoderTask
from seqloss.training.engine import train
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

SEED, WINDOWS = 2, 8
"""Of the run; test windows that are shown, every second one with a planted anomaly."""


def draw() -> Figure:
    task = AutoencoderTask(Settings(seed=SEED))
    with tempfile.TemporaryDirectory() as folder:
        train(task, Path(folder), print_line=lambda line: None)
        network = Predictor(task, Run(Path(folder))).network
    sources = task.load_data().sources
    normal, planted, anomalous = (part[:WINDOWS] for part in windows_of(sources["test"]))
    normal[1::2] = planted[1::2]
    detector, found = detector_of(network, sources["validation"], task.settings), reconstruct(network, normal, WINDOWS)
    scores = scores_over_steps(detector, found.errors, task.settings.window).flatten()
    rows = 1 + np.add.outer(sources["test"].starts[:WINDOWS], np.arange(task.settings.window)).flatten()
    anomalous[::2] = False
    figure, axes = pyplot.subplots(len(task.names) + 1, 1, figsize=(5, 4.8), sharex=True, layout="constrained")
    for channel, (axis, name) in enumerate(zip(axes, task.names, strict=False)):
        for values, color, kind in ((found.inputs, "tab:blue", "input"), (found.outputs, "tab:red", "reconstruction")):
            scaled = values[..., channel] * task.scale.deviation[channel] + task.scale.mean[channel]
            axis.plot(rows, scaled.flatten(), color=color, linewidth=1, label=kind)
        axis.set_title(name, loc="left", fontsize=9)
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0)
    _draw_scores(axes[-1], rows, scores, detector.threshold)
    for axis in axes:
        axis.fill_between(
            rows, 0, 1, where=anomalous.flatten(), color="tab:red", alpha=0.15, linewidth=0,
            transform=axis.get_xaxis_transform(),
        )  # fmt: skip
        axis.margins(x=0)
    return figure


def _draw_scores(axis: Axes, rows: np.ndarray, scores: np.ndarray, threshold: float) -> None:
    over = scores > threshold
    axis.semilogy(rows, scores, color="black", linewidth=1)
    axis.semilogy(rows[over], scores[over], ".", color="tab:red", markersize=4)
    axis.axhline(threshold, color="tab:red", linewidth=1, linestyle="--")
    axis.set_title("score, and its threshold", loc="left", fontsize=9)
    axis.set_xlabel("row of the table")
