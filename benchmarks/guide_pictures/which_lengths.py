"""A batch of word images, padded to the widest: which frames belong to a row."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from seqloss.data.synthetic import SyntheticWords

ROWS, PIXELS = 4, 4
"""Rows of the batch; pixels of a frame."""


def draw() -> Figure:
    words = SyntheticWords("train", ROWS, seed=3)
    images, texts = zip(*(words.item(0, row) for row in range(ROWS)), strict=True)
    widths = [image.shape[1] for image in images]
    longest = -(-max(widths) // PIXELS)
    batch = np.full((ROWS, 32, longest * PIXELS), 255.0)
    for row, image in enumerate(images):
        batch[row, :, : widths[row]] = image
    figure, axes = pyplot.subplots(ROWS, 1, figsize=(6, 7), layout="constrained")
    for row, axis in enumerate(axes):
        axis.imshow(batch[row], cmap="gray", vmin=0, vmax=255)
        frames = -(-widths[row] // PIXELS)
        mark_frames(axis, frames, batch.shape[2])
        axis.set(yticks=[], xticks=[])
        axis.set_ylabel(
            f"“{texts[row]}”\n{frames} frames\n{len(texts[row])} labels", rotation=0, ha="right", va="center"
        )
    return figure


def mark_frames(axis: pyplot.Axes, frames: int, width: int) -> None:
    for frame in range(frames):
        axis.add_patch(Rectangle((frame * PIXELS - 0.5, 29.5), PIXELS, 3, edgecolor="white", facecolor="tab:blue"))
    axis.axvspan(frames * PIXELS - 0.5, width - 0.5, facecolor="none", edgecolor="tab:orange", hatch="//", linewidth=0)
