"""`fit` on pipelines of padded batches, for each way of giving lengths: each batch has its own width."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.keras import CTC, pack

BACKEND = os.environ["KERAS_BACKEND"]
RNG = np.random.default_rng(11)
KERNEL, BIAS = RNG.normal(size=(3, 6)).astype(np.float32), np.zeros(6, np.float32)
FRAMES = [7, 6, 9, 8]
ROWS = [RNG.normal(size=(frames, 3)).astype(np.float32) for frames in FRAMES]
LABELS = [[1, 3, 3], [2], [], [4, 1]]
END = 5
GROUPS = ([0, 1], [2, 3])


@dataclass
class Way:
    """A loss, the y_true of a batch from its rows' numbers, and the lengths and labels that it should find."""

    loss: dict[str, Any]
    y_true: Callable[[list[int]], np.ndarray]
    frames: Callable[[list[int], np.ndarray], Any] = lambda rows, scores: None
    ended: bool = False
    mask: bool = False
    predicted: bool = False


def padded(rows: list[list[int]], filling: int) -> np.ndarray:
    wide = max(map(len, rows))
    return np.array([row + [filling] * (wide - len(row)) for row in rows], np.int64).reshape(len(rows), wide)


def labels_of(rows: list[int], ended: bool) -> list[list[int]]:
    return [LABELS[row] + [END] * ended for row in rows]


def until_end(rows: list[int], scores: np.ndarray) -> np.ndarray:
    """The first frame whose best class is the end, but no fewer than the labels need."""
    best = scores.argmax(axis=2) == END
    first = np.where(best.any(axis=1), best.argmax(axis=1) + 1, scores.shape[1])
    return np.maximum(first, [needed(labels) for labels in labels_of(rows, True)])


def as_predicted(rows: list[int], scores: np.ndarray) -> np.ndarray:
    said = np.clip(np.round(scores[:, 0, 0]), 0, scores.shape[1] - 1).astype(int)
    return np.maximum(said, [needed(LABELS[row]) for row in rows])


def needed(labels: list[int]) -> int:
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def lengths_of(rows: list[int], scores: np.ndarray) -> np.ndarray:
    return np.array([FRAMES[row] for row in rows])


WAYS = {
    "padding": Way({}, lambda rows: padded(labels_of(rows, False), 0)),
    "padding -1": Way({"padding": -1}, lambda rows: padded(labels_of(rows, False), -1)),
    "end": Way({"end": END}, lambda rows: padded(labels_of(rows, True), 0), until_end, ended=True),
    "packed": Way(
        {"target_lengths": "packed", "logit_lengths": "packed"},
        lambda rows: pack(labels_of(rows, False), logit_lengths=[FRAMES[row] for row in rows]), lengths_of,
    ),
    "mask": Way(
        {"logit_lengths": "mask"}, lambda rows: padded(labels_of(rows, False), 0), lengths_of, mask=True
    ),
    "predicted": Way(
        {"logit_lengths": "predicted"}, lambda rows: padded(labels_of(rows, False), 0), as_predicted, predicted=True
    ),
}  # fmt: skip


def inputs_of(rows: list[int]) -> np.ndarray:
    wide = max(FRAMES[row] for row in rows)
    return np.stack([np.pad(ROWS[row], [(0, wide - FRAMES[row]), (0, 0)]) for row in rows])


def batches(way: Way) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(inputs_of(rows), way.y_true(rows)) for rows in GROUPS]


def generator(way: Way) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        yield from batches(way)


def py_dataset(way: Way) -> keras.utils.PyDataset:
    class Padded(keras.utils.PyDataset):
        def __len__(self) -> int:
            return len(GROUPS)

        def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
            return batches(way)[number]

    return Padded()


def tf_dataset(way: Way) -> Any:
    tf = pytest.importorskip("tensorflow")
    packed = "packed" in way.loss.values()
    filling = -1 if way.loss.get("padding") == -1 else 0

    def rows() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number, x in enumerate(ROWS):
            labels = labels_of([number], way.ended)[0]
            yield x, np.array([len(labels), len(x), *labels] if packed else labels, np.int64)

    signature = tf.TensorSpec((None, 3), tf.float32), tf.TensorSpec((None,), tf.int64)
    data = tf.data.Dataset.from_generator(rows, output_signature=signature)
    return data.padded_batch(2, padding_values=(0.0, tf.constant(filling, tf.int64)))


PIPELINES = {"tf.data": tf_dataset, "generator": generator, "PyDataset": py_dataset}


def expected(way: Way) -> float:
    """The mean loss of an epoch at a learning rate of 0."""
    losses: list[float] = []
    for rows in GROUPS:
        scores = inputs_of(rows) @ KERNEL + BIAS
        frames = way.frames(rows, scores)
        labels = labels_of(rows, way.ended)
        targets, counts = padded(labels, 0), np.array([len(row) for row in labels])
        losses += list(host.ctc_loss(scores[:, 1:] if way.predicted else scores, targets, frames, counts))
    return float(np.mean(losses))


def fitted(way: Way, pipeline: str, **options: Any) -> float:
    layers = [keras.Input((None, 3)), *([keras.layers.Masking()] if way.mask else []), keras.layers.Dense(6)]
    model = keras.Sequential(layers)
    model.set_weights([KERNEL, BIAS])
    model.compile(loss=CTC(**way.loss), optimizer=keras.optimizers.SGD(0.0), **options)
    steps = {"steps_per_epoch": len(GROUPS)} if pipeline == "generator" else {}
    return float(model.fit(PIPELINES[pipeline](way), verbose=0, shuffle=False, **steps).history["loss"][0])


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", WAYS)
def test_fit_on_padded_batches_gives_the_mean_of_the_rows(name: str, pipeline: str) -> None:
    found = fitted(WAYS[name], pipeline, jit_compile=False)
    np.testing.assert_allclose(found, expected(WAYS[name]), rtol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow traces with unknown sizes")
@pytest.mark.parametrize("mode", ["run_eagerly", pytest.param("jit_compile", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", WAYS)
def test_fit_on_padded_batches_is_the_same_eagerly_and_compiled(name: str, mode: str) -> None:
    np.testing.assert_allclose(fitted(WAYS[name], "tf.data", **{mode: True}), expected(WAYS[name]), rtol=1e-5)
