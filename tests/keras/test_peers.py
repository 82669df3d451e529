"""The drop-ins agree with what they stand in for, value and gradient, to the peer's own distance from float64.

The truth is the definition in float64. Where both are right they differ by no more than the peer's distance from it and
ours, which is a few roundings of float32: the losses' and gradients' own contract suite counts them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from seqloss import reference
from seqloss.keras import CTC, ctc_batch_cost

Gradient = Callable[[Callable[[Any], Any], np.ndarray], tuple[np.ndarray, np.ndarray]]
SHAPES = [(250, 6, 4, 2), (250, 12, 7, 5), (250, 20, 5, 6), (250, 9, 12, 3)]  # rows, time, classes, labels
OURS = 32 * 2.0**-24


def batches(fewest: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """A thousand rows that fit, with classes 1.. for labels: scores, labels filled up with 0, frames, counts."""
    rng = np.random.default_rng(4)
    for rows, time, classes, longest in SHAPES:
        labels = rng.integers(1, classes, (rows, longest))
        counts = rng.integers(fewest, longest + 1, rows)
        repeats = ((labels[:, 1:] == labels[:, :-1]) & (np.arange(1, longest) < counts[:, None])).sum(axis=1)
        counts = np.where(counts + repeats > time, 1, counts)
        repeats = ((labels[:, 1:] == labels[:, :-1]) & (np.arange(1, longest) < counts[:, None])).sum(axis=1)
        labels[np.arange(longest) >= counts[:, None]] = 0
        frames = rng.integers(np.maximum(1, counts + repeats), time + 1)
        yield (3 * rng.normal(size=(rows, time, classes))).astype(np.float32), labels, frames, counts


def assert_as_near(ours: np.ndarray, peer: np.ndarray, truth: np.ndarray, size: np.ndarray) -> None:
    """Row by row: as far from the peer as the peer is from the truth, and a few roundings of `size`."""
    shape = (len(truth), -1)
    own = np.abs(ours - truth).reshape(shape).max(axis=1)
    assert (own <= OURS * size).all(), (own / size).max() / OURS
    apart = np.abs(ours.astype(np.float64) - peer).reshape(shape).max(axis=1)
    distance = np.abs(peer - truth).reshape(shape).max(axis=1)
    assert (apart <= distance + OURS * size).all()
    assert (distance <= 1e-3 * (1 + size)).all(), "the peer computes something else"


def test_the_loss_agrees_with_keras_own_on_a_thousand_rows(value_and_grad: Gradient) -> None:
    total = 0
    for scores, labels, _, counts in batches():
        loss, truth = reference.ctc_loss_and_grad(scores.astype(np.float64), labels, None, counts)
        ours, our_grad = value_and_grad(lambda x, y=labels: CTC(reduction=None)(y, x), scores)
        peer, peer_grad = value_and_grad(lambda x, y=labels: keras.losses.CTC(reduction=None)(y, x), scores)
        assert_as_near(ours, peer, loss, 1 + np.abs(loss))
        assert_as_near(our_grad, peer_grad, truth, np.ones(len(loss)))
        total += len(loss)
    assert total == 1000


def test_the_batch_cost_agrees_with_the_old_function_on_a_thousand_rows(backend: str, value_and_grad: Gradient) -> None:
    if backend != "tensorflow":
        pytest.skip("the old function is TensorFlow's")
    from keras.src.legacy.backend import ctc_batch_cost as old

    epsilon = keras.config.epsilon()
    for scores, labels, frames, counts in batches(fewest=1):  # the old function refuses empty targets
        weights = np.exp(scores)
        probabilities = (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)
        labels = np.where(np.arange(labels.shape[1]) < counts[:, None], labels - 1, 0)  # the blank is the last class
        logs = np.log(probabilities.astype(np.float64) + epsilon)
        loss, truth = reference.ctc_loss_and_grad(logs, labels, frames, counts, blank=-1)
        truth = truth / (probabilities.astype(np.float64) + epsilon)
        columns = (frames[:, None], counts[:, None])
        ours, our_grad = value_and_grad(lambda x, y=labels, c=columns: ctc_batch_cost(y, x, *c), probabilities)
        peer, peer_grad = value_and_grad(lambda x, y=labels, c=columns: old(y, x, *c), probabilities)
        assert ours.shape == peer.shape == (len(loss), 1)
        assert_as_near(ours[:, 0], peer[:, 0], loss, 1 + np.abs(loss))
        assert_as_near(our_grad, peer_grad, truth, (1 / (probabilities + epsilon)).max(axis=(1, 2)))
