"""The class probabilities of each frame above the image that they read: needs `make run` (runs/ocr-synthetic)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.data.synthetic import SyntheticWords
from seqloss.recipes import load_task
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

RUN = Path("runs/ocr-synthetic")


def draw() -> Figure:
    task = load_task(RUN)
    image, text = SyntheticWords("test", size=500, seed=0).item(epoch=0, index=7)
    predictor = Predictor(task, Run(RUN))
    with torch.inference_mode():
        outputs = task.forward(predictor.network, task.collate([(image, text)]))
    probabilities = outputs["logits"][0].softmax(-1).numpy()
    classes = [k for k in range(probabilities.shape[1]) if probabilities[:, k].max() > 0.1]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 3.4), layout="constrained", height_ratios=(1.4, 1))
    for k in classes:
        above.plot(probabilities[:, k], color="silver" if k == 0 else None)
    best = probabilities.argmax(1)
    for frame in np.flatnonzero(best):
        if frame == 0 or best[frame - 1] != best[frame]:
            above.text(frame, 1.03, task.vocabulary.decode([int(best[frame])]), ha="center")
    above.set(ylabel="probability", xlabel="frame", xlim=(-0.5, len(probabilities) - 0.5), ylim=(0, 1.15))
    below.imshow(image, cmap="gray", vmin=0, vmax=255, aspect="auto")
    below.axis("off")
    return figure
