"""Each way of giving lengths finds those that a person would, alone and in `fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import seqloss.numpy as host
from seqloss.errors import ShapeError
from seqloss.keras import CTC, pack

END = 4
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(3, 7, 5)).astype(np.float32)
LABELS = [[1, 3, 3], [2], [3, 1, 2, 1]]
FRAMES = np.array([6, 7, 5])


def padded(rows: list[list[int]], filling: float) -> np.ndarray:
    wide = np.full((len(rows), max(map(len, rows))), filling)
    for wide_row, row in zip(wide, rows, strict=True):
        wide_row[: len(row)] = row
    return wide if np.isnan(filling) or filling % 1 else wide.astype(np.int64)


def ending(frames: list[int]) -> np.ndarray:
    """Scores whose best class is first the end in these frames, counted from 1; 0 for nowhere."""
    scores = SCORES.copy()
    scores[:, :, END] = -5.0
    for row, frame in zip(scores, frames, strict=True):
        if frame:
            row[frame - 1 :, END] = 6.0
    return scores


def predicting(lengths: list[float]) -> np.ndarray:
    first = np.zeros((3, 1, 5), np.float32)
    first[:, 0, 0] = lengths
    return np.concatenate([first, SCORES], axis=1)


@dataclass
class Way:
    """A loss, what it is given, and what it should make of that."""

    loss: CTC
    y_true: np.ndarray
    frames: Any = None
    labels: list[list[int]] = field(default_factory=lambda: LABELS)
    y_pred: np.ndarray = field(default_factory=SCORES.copy)
    scores: np.ndarray | None = None  # without a length in front

    def expected(self) -> np.ndarray:
        scores = self.y_pred if self.scores is None else self.scores
        counts = np.array([len(row) for row in self.labels])
        return host.ctc_loss(scores, padded(self.labels, 0), self.frames, counts, blank=self.loss.blank)


ENDED = [[*row, END] for row in LABELS]
BOTH = [[3, 1], [0, 2, 2], [1]]  # with a blank that is not 0
WAYS = {
    "as keras.losses.CTC": Way(CTC(reduction=None), padded(LABELS, 0)),
    "padding -1": Way(CTC(reduction=None, padding=-1), padded(LABELS, -1)),
    "padding -1, unsigned elsewhere": Way(CTC(reduction=None, padding=255), padded(LABELS, 255).astype(np.uint8)),
    "padding NaN": Way(CTC(reduction=None, padding=np.nan), padded(LABELS, np.nan)),
    "padding 99": Way(CTC(reduction=None, padding=99), padded(LABELS, 99)),
    "padding -1, blank last": Way(
        CTC(reduction=None, padding=-1, blank=-1), padded(BOTH, -1), labels=BOTH
    ),
    "no padding": Way(CTC(reduction=None, padding=None), padded([[1, 2]] * 3, 0), labels=[[1, 2]] * 3),
    "end": Way(CTC(reduction=None, end=END), padded(ENDED, 0), [6, 5, 7], ENDED, ending([6, 5, 0])),
    "end, twice": Way(
        CTC(reduction=None, end=END), padded([[*row, END, 1, END] for row in LABELS], 0), [7, 5, 6], ENDED,
        ending([7, 5, 6]),
    ),
    "end, too early": Way(CTC(reduction=None, end=END), padded(ENDED, 0), [5, 2, 5], ENDED, ending([1, 1, 2])),
    "end, none in a row": Way(
        CTC(reduction=None, end=END, padding=-1), padded([ENDED[0], LABELS[1], ENDED[2]], -1), [6, 6, 6],
        [ENDED[0], LABELS[1], ENDED[2]], ending([6, 6, 6]),
    ),
    "end of labels alone": Way(
        CTC(reduction=None, end=END, logit_lengths="all"), padded(ENDED, 0), None, ENDED, ending([2, 2, 2])
    ),
    "end of frames alone": Way(
        CTC(reduction=None, end=END, target_lengths="padding"), padded(LABELS, 0), [6, 2, 5], y_pred=ending([6, 2, 5])
    ),
    "packed labels": Way(CTC(reduction=None, target_lengths="packed"), pack(LABELS)),
    "packed frames": Way(
        CTC(reduction=None, logit_lengths="packed"), np.column_stack([FRAMES, padded(LABELS, 0)]), FRAMES
    ),
    "packed": Way(
        CTC(reduction=None, target_lengths="packed", logit_lengths="packed"), pack(LABELS, logit_lengths=FRAMES), FRAMES
    ),
    "predicted": Way(
        CTC(reduction=None, target_lengths="packed", logit_lengths="predicted"), pack(LABELS), [6, 3, 5],
        y_pred=predicting([6.4, 2.6, 5.0]), scores=SCORES,
    ),
    "predicted, untrained": Way(
        CTC(reduction=None, logit_lengths="predicted"), padded(LABELS, 0), [4, 7, 4],
        y_pred=predicting([-3.0, 900.0, 0.2]), scores=SCORES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["int64", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", WAYS)
def test_lengths_are_found(name: str, kind: str) -> None:
    way = WAYS[name]
    y_true = way.y_true if np.isnan(way.y_true).any() else way.y_true.astype(kind)
    found = ops.convert_to_numpy(way.loss(y_true, way.y_pred))
    np.testing.assert_array_equal(found, way.expected())
    found = ops.convert_to_numpy(way.loss(ops.convert_to_tensor(y_true), ops.convert_to_tensor(way.y_pred)))
    np.testing.assert_array_equal(found, way.expected())


COMPILED = ("padding NaN", "padding -1, blank last", "end, too early", "packed", "predicted, untrained")
"""The ways that XLA, at seconds for each, is asked about."""


@pytest.mark.parametrize("name", WAYS)
def test_lengths_are_found_in_a_model(name: str) -> None:
    assert_evaluates(WAYS[name], jit=False)


@pytest.mark.parametrize("name", COMPILED)
def test_lengths_are_found_in_a_compiled_model(name: str, jit: bool) -> None:
    assert_evaluates(WAYS[name], jit)


def assert_evaluates(way: Way, jit: bool) -> None:
    model = keras.Sequential([keras.Input(way.y_pred.shape[1:]), keras.layers.Activation("linear")])
    config = way.loss.get_config() | {"reduction": "sum_over_batch_size"}
    model.compile(loss=CTC.from_config(config), jit_compile=jit)
    y_true = way.y_true.astype(np.float32) if np.isnan(way.y_true).any() else way.y_true
    found = model.evaluate(way.y_pred, y_true, batch_size=3, verbose=0)
    np.testing.assert_allclose(found, way.expected().mean(), rtol=1e-6)


@pytest.mark.parametrize("side", ["front", "back"])
def test_masked_frames_are_left_out_wherever_they_stand(side: str, jit: bool) -> None:
    x = np.zeros((3, 7, 5), np.float32)
    used = np.arange(7) < FRAMES[:, None] if side == "back" else np.arange(7) >= 7 - FRAMES[:, None]
    rows = [RNG.normal(size=(n, 5)).astype(np.float32) for n in FRAMES]
    x[used] = np.concatenate(rows)
    model = keras.Sequential([keras.Input((7, 5)), keras.layers.Masking(), keras.layers.Dense(5)])
    model.compile(loss=CTC(logit_lengths="mask"), optimizer="sgd", jit_compile=jit)
    kernel, bias = model.get_weights()
    expected = [
        host.ctc_loss((row @ kernel + bias)[None], np.array([labels]))[0]
        for row, labels in zip(rows, LABELS, strict=True)
    ]
    found = model.evaluate(x, padded(LABELS, 0), batch_size=3, verbose=0)
    np.testing.assert_allclose(found, np.mean(expected), rtol=1e-6)


def test_a_mask_lets_gradients_pass_to_its_frames_alone(
    value_and_grad: Callable[[Callable[[Any], Any], np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> None:
    used = np.arange(7) >= 7 - FRAMES[:, None]

    def loss(y_pred: Any) -> Any:
        from keras.src.backend import set_keras_mask

        set_keras_mask(y_pred, ops.convert_to_tensor(used))
        return CTC(reduction="sum", logit_lengths="mask")(padded(LABELS, 0), y_pred)

    _, gradient = value_and_grad(loss, SCORES)
    for row, inside, found, labels in zip(SCORES, used, gradient, LABELS, strict=True):
        _, expected = host.ctc_loss_and_grad(row[inside][None], np.array([labels]))
        np.testing.assert_array_equal(found[inside], expected[0])
        assert (found[~inside] == 0).all()


def test_lengths_in_a_call_come_before_the_options() -> None:
    counts = np.array([2, 1, 3])
    expected = host.ctc_loss(SCORES, padded(LABELS, 0), FRAMES, counts)
    loss = CTC(reduction=None, padding=-1)
    found = loss(padded(LABELS, 0), SCORES, logit_lengths=FRAMES, target_lengths=ops.convert_to_tensor(counts))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), expected)


def test_a_predicted_length_that_is_no_number_is_answered_with_nan() -> None:
    loss = CTC(reduction=None, logit_lengths="predicted")
    found = ops.convert_to_numpy(loss(padded(LABELS, 0), predicting([5.0, np.nan, np.inf])))
    assert np.isnan(found).tolist() == [False, True, False]


def test_an_untrained_model_learns_from_ends_that_come_too_early(jit: bool) -> None:
    model = keras.Sequential([keras.Input((7, 5)), keras.layers.Activation("linear"), keras.layers.Dense(5)])
    model.layers[-1].set_weights([np.eye(5), np.array([0, 0, 0, 0, 9.0])])  # says "end" at once
    model.compile(loss=CTC(end=END), optimizer=keras.optimizers.SGD(0.5), jit_compile=jit)
    losses = model.fit(SCORES, padded(ENDED, 0), batch_size=3, epochs=30, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.5 * losses[0]


def test_packing_takes_rows_and_arrays() -> None:
    packed = pack(padded(LABELS, -1), [3, 1, 4], FRAMES)
    assert packed[:, :2].tolist() == [[3, 6], [1, 7], [4, 5]]
    assert packed[:, 2:].tolist() == padded(LABELS, -1).tolist()
    assert pack([[], [5]]).tolist() == [[0, 0], [1, 5]]
    assert pack([[], []]).tolist() == [[0], [0]]


def test_packing_takes_concatenated_targets_with_their_lengths() -> None:
    assert pack([3, 1, 2, 4], [3, 1]).tolist() == [[3, 3, 1, 2], [1, 4, 0, 0]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2, 3],), r"targets: expected shape \(batch, labels\), found \(3,\)\. Concat.* need target_lengths\."),
        (([[1, 2], [3]], None, [1]), r"logit_lengths: expected 2 rows, one for each row of targets, found 1\.$"),
        (
            (np.array([[1, 2], [3, 1]]), [1]),
            r"target_lengths: expected 2 rows, one for each row of targets, found 1\.$",
        ),
    ],
)
def test_packing_says_what_is_missing(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        pack(*arguments)
