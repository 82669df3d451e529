"""Which frames a label is assigned to: before, during and after gradient descent on the scores."""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.numpy import ctc_loss, ctc_loss_and_grad, ctc_posteriors

WORD, FRAMES = "hello", 24
CLASSES = ["blank", *sorted(set(WORD))]


def draw() -> Figure:
    logits = np.random.default_rng(0).normal(size=(1, FRAMES, len(CLASSES))).astype("float32")
    targets = np.array([[CLASSES.index(letter) for letter in WORD]])
    figure, axes = pyplot.subplots(1, 3, figsize=(5.6, 2.2), sharey=True, layout="constrained")
    done = 0
    for axis, steps in zip(axes, (0, 10, 100), strict=True):
        while done < steps:
            logits -= ctc_loss_and_grad(logits, targets)[1]
            done += 1
        axis.imshow(ctc_posteriors(logits, targets)[0].T, aspect="auto", cmap="Blues", vmin=0, vmax=1)
        loss = float(ctc_loss(logits, targets)[0])
        axis.set(title=f"{steps} steps:\nloss {loss:.2f} nats", xlabel="frame", yticks=range(len(CLASSES)))
        axis.set_yticklabels(CLASSES)
    figure.suptitle(f"Posteriors of the classes, given the text “{WORD}”", fontsize=10)
    return figure
