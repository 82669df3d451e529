"""A Keras model trained with `fit` on texts padded with -1: loss and errors of decoded texts on validation rows."""

from __future__ import annotations

import keras
import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure
from rapidfuzz.distance import Levenshtein

from seqloss.keras import CTC, ctc_greedy

FRAMES, FEATURES, CLASSES, LONGEST = 40, 12, 8, 6
EPOCHS = 12


def draw() -> Figure:
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    (x, y), (test_x, test_y) = (make_rows(rng, rows) for rows in (512, 128))
    model = keras.Sequential([
        keras.Input((FRAMES, FEATURES)),
        keras.layers.Conv1D(32, 5, padding="same", activation="relu"),
        keras.layers.Bidirectional(keras.layers.GRU(32, return_sequences=True)),
        keras.layers.Dense(CLASSES),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(3e-3), loss=CTC(padding=-1))
    errors = [error_rate(model, test_x, test_y)]
    losses = [model.evaluate(test_x, test_y, verbose=0)]
    for _ in range(EPOCHS):
        model.fit(x, y, batch_size=32, verbose=0)
        losses.append(model.evaluate(test_x, test_y, verbose=0))
        errors.append(error_rate(model, test_x, test_y))
    figure, axes = pyplot.subplots(1, 2, figsize=(5.6, 2.5), layout="constrained")
    axes[0].plot(losses, marker=".")
    axes[0].set(xlabel="epoch", ylabel="validation loss, nats", ylim=(0, None))
    axes[1].plot(np.array(errors) * 100, marker=".", color="tab:orange")
    axes[1].set(xlabel="epoch", ylabel="label errors after decoding, %", ylim=(0, None))
    return figure


def make_rows(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a pattern for each label, at a random place in its part of the frames."""
    patterns = np.random.default_rng(1).normal(size=(CLASSES, 3, FEATURES))
    x = rng.normal(0, 0.7, (rows, FRAMES, FEATURES))
    y = np.full((rows, LONGEST), -1)
    for row in range(rows):
        count = rng.integers(2, LONGEST + 1)
        y[row, :count] = rng.integers(1, CLASSES, count)
        width = FRAMES // count
        for place, label in enumerate(y[row, :count]):
            start = place * width + rng.integers(0, width - 3)
            x[row, start : start + 3] += patterns[label]
    return x.astype("float32"), y


def error_rate(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Edit distance of decoded labels over the number of labels."""
    found = ctc_greedy(model.predict(x, verbose=0))
    wanted = [row[row >= 0].tolist() for row in y]
    wrong = sum(Levenshtein.distance(list(row.labels), text) for row, text in zip(found, wanted, strict=True))
    return wrong / sum(map(len, wanted))
