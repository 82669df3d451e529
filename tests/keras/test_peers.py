"""The drop-ins agree with what they stand in for, value and gradient, to the peer's own distance from float64.

The truth is the definition in float64. Where both are right they differ by no more than the peer's distance from it and
ours, which is a few roundings of float32: the losses' and gradients' own contract suite counts them one by one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from seqloss import reference
from seqloss.keras import CTC, ctc_batch_cost

Gradient = Callable[..., tuple[np.ndarray, np.ndarray]]
SHAPES = [
    (1, 6, 4, 2),
    (2, 12, 7, 5),
    (3, 20, 5, 6),
    (2, 9, 12, 3),
    (4, 15, 3, 7),
    (1, 30, 9, 10),
    (2, 1, 4, 1),
    (3, 5, 6, 4),
]
"""Rows, time, classes, labels."""
CASES, SOON = 1000, 150
"""Calls in `make test-long`, and in `make test`."""
OURS = 32 * 2.0**-24


def cases(fewest: int = 0, number: int = CASES) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """A thousand batches that fit, with classes 1.. for labels: scores, labels filled up with 0, frames, counts."""
    rng = np.random.default_rng(4)
    for call in range(number):
        rows, time, classes, longest = SHAPES[call % len(SHAPES)]
        labels = rng.integers(1, classes, (rows, longest))
        counts = rng.integers(fewest, longest + 1, rows)
        counts = np.where(counts + repeats_of(labels, counts) > time, 1, counts)
        repeats = repeats_of(labels, counts)
        labels[np.arange(longest) >= counts[:, None]] = 0
        frames = rng.integers(np.maximum(1, counts + repeats), time + 1)
        scores = rng.choice([0.5, 3.0, 8.0]) * rng.normal(size=(rows, time, classes))
        yield scores.astype(np.float32), labels.astype(np.int32), frames.astype(np.int32), counts.astype(np.int32)


def repeats_of(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    within = np.arange(1, labels.shape[1]) < counts[:, None]
    return ((labels[:, 1:] == labels[:, :-1]) & within).sum(axis=1)


def assert_as_near(ours: np.ndarray, peer: np.ndarray, truth: np.ndarray, size: np.ndarray) -> None:
    """Row by row: as far from the peer as the peer is from the truth, and a few roundings of `size`."""
    shape = (len(truth), -1)
    own = np.abs(ours - truth).reshape(shape).max(axis=1)
    assert (own <= OURS * size).all(), (own / size).max() / OURS
    apart = np.abs(ours.astype(np.float64) - peer).reshape(shape).max(axis=1)
    distance = np.abs(peer - truth).reshape(shape).max(axis=1)
    assert (apart <= distance + OURS * size).all()
    assert (distance <= 1e-3 * (1 + size)).all(), "the peer computes something else"


def our_loss(scores: Any, labels: Any) -> Any:
    return CTC(reduction=None)(labels, scores)


pytestmark = [pytest.mark.long] * (os.environ.get("KERAS_BACKEND") != "torch")
"""Where each call is compiled or traced, a thousand of them are for `make test-long`."""


def peer_loss(scores: Any, labels: Any) -> Any:
    return keras.losses.CTC(reduction=None)(labels, scores)


def graph_of(backend: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """As `model.fit` calls it on TensorFlow: traced once a shape."""
    if backend != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function)


@pytest.mark.parametrize("number", [SOON, pytest.param(CASES, marks=pytest.mark.long)])
def test_the_loss_agrees_with_keras_own_in_that_many_calls(backend: str, value_and_grad: Gradient, number: int) -> None:
    ours_, peers_ = graph_of(backend, our_loss), graph_of(backend, peer_loss)
    for scores, labels, _, counts in cases(number=number):
        loss, truth = reference.ctc_loss_and_grad(scores.astype(np.float64), labels, None, counts)
        ours, our_grad = value_and_grad(ours_, scores, labels)
        peer, peer_grad = value_and_grad(peers_, scores, labels)
        assert_as_near(ours, peer, loss, 1 + np.abs(loss))
        assert_as_near(our_grad, peer_grad, truth, np.ones(len(loss)))


def test_the_batch_cost_agrees_with_the_old_function_in_a_thousand_calls(
    backend: str, value_and_grad: Gradient
) -> None:
    if backend != "tensorflow":
        pytest.skip("the old function is TensorFlow's")
    from seqloss.verify.adapters._compat import keras_2_batch_cost as old

    epsilon = keras.config.epsilon()
    for scores, labels, frames, counts in cases(fewest=1):  # the old function refuses empty targets
        weights = np.exp(scores)
        probabilities = (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)
        labels = np.where(np.arange(labels.shape[1]) < counts[:, None], labels - 1, 0)  # the blank is the last class
        logs = np.log(probabilities.astype(np.float64) + epsilon)
        loss, truth = reference.ctc_loss_and_grad(logs, labels, frames, counts, blank=-1)
        truth = truth / (probabilities.astype(np.float64) + epsilon)
        given = (probabilities, labels, frames[:, None], counts[:, None])
        ours, our_grad = value_and_grad(lambda x, *rest: ctc_batch_cost(rest[0], x, *rest[1:]), *given)
        peer, peer_grad = value_and_grad(lambda x, *rest: old(rest[0], x, *rest[1:]), *given)
        assert ours.shape == peer.shape == (len(loss), 1)
        assert_as_near(ours[:, 0], peer[:, 0], loss, 1 + np.abs(loss))
        assert_as_near(our_grad, peer_grad, truth, (1 / (probabilities + epsilon)).max(axis=(1, 2)))
