"""`ctc_batch_cost` means what the function of old Keras meant."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

import seqloss.numpy as host
from seqloss.errors import DTypeError, InfeasibleError, LabelError, LengthError, NormalizationError, ShapeError
from seqloss.keras import ctc_batch_cost

RNG = np.random.default_rng(2)
PROBABILITIES = RNG.dirichlet(np.full(5, 0.3), size=(3, 8)).astype(np.float32)
LABELS = np.array([[0, 1, 3], [2, 2, 0], [3, 0, 0]])
FRAMES, COUNTS = np.array([[8], [6], [4]]), np.array([[3], [2], [0]])


def logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(probabilities + np.float32(1e-7))


def test_probabilities_give_a_column_of_losses() -> None:
    expected = host.ctc_loss(logs(PROBABILITIES), LABELS, FRAMES[:, 0], COUNTS[:, 0], blank=-1)
    for kind in (np.int64, np.float32):
        found = ctc_batch_cost(LABELS.astype(kind), PROBABILITIES, FRAMES.astype(kind), COUNTS.astype(kind))
        assert tuple(found.shape) == (3, 1)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found)[:, 0], expected, rtol=1e-6)


def test_probabilities_are_what_it_takes_and_no_mistake() -> None:
    """A sure network: 3 frames with a probability of 0.9997 each."""
    sure = (np.eye(4)[[[1, 3, 2]]] * 0.9996 + 0.0001).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ctc_batch_cost(np.array([[1, 2]]), sure, np.array([[3]]), np.array([[2]]))
    expected = host.ctc_loss(np.log(sure.astype(np.float64)), [[1, 2]], blank=-1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found)[:, 0], expected, rtol=1e-3)


def test_lengths_that_are_fractions_are_named_with_their_conversion() -> None:
    words = r"^input_length\[1\]: .* found 0\.75, a fraction of the time axis; .* round\(0\.75 \* 8\) = 6\."
    with pytest.raises(DTypeError, match=words):
        ctc_batch_cost(LABELS, PROBABILITIES, FRAMES.astype(np.float32) / 8, COUNTS)


@pytest.mark.parametrize("label", [1.5, np.nan, np.inf])
def test_a_label_that_is_no_integer_is_named(label: float) -> None:
    labels = np.where(LABELS == 3, label, LABELS)
    with pytest.raises(DTypeError, match=rf"^y_true\[0, 2\]: expected an integer, found {label}"):
        ctc_batch_cost(labels, PROBABILITIES, FRAMES, COUNTS)
    with pytest.raises(DTypeError, match=rf"^y_true\[0, 2\]: expected an integer, found {label}"):
        ctc_batch_cost(labels.tolist(), PROBABILITIES, FRAMES, COUNTS)  # type: ignore[arg-type]
    ctc_batch_cost(labels, PROBABILITIES, FRAMES, np.array([[2], [2], [0]]))  # past the labels, it is never read


def test_a_label_that_is_the_blank_leads_to_the_function_that_can_move_it() -> None:
    labels = np.array([[0, 4, 3], *LABELS[1:]])
    words = (
        r"^y_true\[0, 1\]: .*: give the true label_length if .*use ctc_loss, not ctc_batch_cost, .* with blank=\.\.\."
    )
    with pytest.raises(LabelError, match=words):
        ctc_batch_cost(labels, PROBABILITIES, FRAMES, COUNTS)


@pytest.mark.parametrize(
    ("y_pred", "words"),
    [
        (np.log(PROBABILITIES), r"^y_pred\[0, 0, :\]: expected probabilities .* found log-probabilities .* take exp"),
        (PROBABILITIES * 3 - 1, r"^y_pred\[0, 0, :\]: .*raw scores are .* seqloss.keras.CTC takes scores"),
        (PROBABILITIES * 0.9, r"^y_pred\[0, 0, :\]: .* found a sum of 0\.9"),
    ],
)
def test_what_holds_no_probabilities_is_refused(y_pred: np.ndarray, words: str) -> None:
    with pytest.raises(NormalizationError, match=words):
        ctc_batch_cost(LABELS, y_pred, FRAMES, COUNTS)


def test_frames_out_of_use_need_not_hold_probabilities() -> None:
    padded = np.where(np.arange(8)[:, None] < FRAMES[:, :, None], PROBABILITIES, 7)
    found = ctc_batch_cost(LABELS, padded, FRAMES, COUNTS)
    expected = ctc_batch_cost(LABELS, PROBABILITIES, FRAMES, COUNTS)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(expected))


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_keras_own_softmax_holds_probabilities_in_every_type(kind: str, scale: float) -> None:
    scores = keras.ops.convert_to_tensor(RNG.normal(size=(3, 8, 1000), scale=scale).astype(np.float32))
    half = keras.ops.softmax(keras.ops.cast(scores, kind))
    rounded = keras.ops.cast(keras.ops.softmax(scores), kind)
    for y_pred in (half, rounded, keras.ops.cast(half, "float32")):
        assert np.isfinite(keras.ops.convert_to_numpy(ctc_batch_cost(LABELS, y_pred, FRAMES, COUNTS))).all()


def test_half_types_keep_the_epsilon() -> None:
    certain = np.eye(5, dtype=np.float16)[None, [0, 4, 1, 4]]
    found = ctc_batch_cost(np.array([[2]]), certain, np.array([[4]]), np.array([[1]]))
    np.testing.assert_allclose(
        float(found[0, 0]), host.ctc_loss(logs(certain.astype("f4")), [[2]], blank=-1), rtol=1e-6
    )


def test_what_does_not_fit_is_an_error_as_it_was() -> None:
    crowded = np.array([[1, 1, 1]] * 3)
    with pytest.raises(InfeasibleError, match="3 labels with 2 adjacent repeats need 5 frames, found 4"):
        ctc_batch_cost(crowded, PROBABILITIES, FRAMES, COUNTS * 0 + 3)
    found = ctc_batch_cost(crowded, PROBABILITIES, FRAMES, COUNTS * 0 + 3, infeasible="zero")
    assert float(found[2, 0]) == 0


def test_the_last_class_is_the_blank() -> None:
    with pytest.raises(LabelError, match=r"^y_true\[0, 2\]: found label 4, expected 0 to 4 without the blank 4"):
        ctc_batch_cost(LABELS + 1, PROBABILITIES, FRAMES, COUNTS)


def test_lengths_out_of_range_are_named_as_the_arguments_are() -> None:
    with pytest.raises(LengthError, match=r"^input_length\[0\]: found 9, expected 0 to 8"):
        ctc_batch_cost(LABELS, PROBABILITIES, FRAMES + 1, COUNTS)
    with pytest.raises(LengthError, match=r"^label_length\[0\]: found 4, expected 0 to 3"):
        ctc_batch_cost(LABELS, PROBABILITIES, FRAMES, COUNTS + 1)


def test_lengths_are_columns() -> None:
    with pytest.raises(ShapeError, match=r"input_length: expected shape \(batch, 1\), found \(3, 2\)"):
        ctc_batch_cost(LABELS, PROBABILITIES, np.ones((3, 2), int), COUNTS)
