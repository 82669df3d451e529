"""Rows of a data folder as a run sees them: images of many widths, and their texts."""

from __future__ import annotations

from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.data.synthetic import SyntheticWords


def draw() -> Figure:
    words = SyntheticWords("train", 24, seed=1)
    rows = sorted((words.item(0, k) for k in range(len(words))), key=lambda row: row[0].shape[1])
    figure, axes = pyplot.subplots(6, 4, figsize=(5.4, 4), layout="constrained")
    for axis, (image, text) in zip(axes.flat, rows, strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(f"{text}", fontsize=8)
        axis.axis("off")
    return figure
