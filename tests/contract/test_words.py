"""The same mistake gives the same words behind every frontend: the table of what is said, to the letter."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from seqloss import errors

from .frontend import Frontend

LOGITS = np.zeros((2, 6, 4))
TARGETS = np.array([[1, 2, 3], [3, 2, 1]])
FRAMES, LABELS = np.array([6, 6]), np.array([3, 3])
OPEN = np.array([[1, 2, 3], [1, 1, 1]])  # three equal labels need five frames


def but(array: np.ndarray, place: Any, value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


CAUSES = {
    "count from 1": "labels seem to count from 1, or the network's last layer lacks a class for the blank",
    "vocabulary": "the vocabulary is larger than the network's last layer",
    "padding": "this looks like padding inside the target's length: give the true target_lengths",
    "unknown": "labels follow it, and padding stands after all labels; a label that stands for any other (unknown, "
    "star, wildcard) is not supported: give it a class of its own, such as <unk>, or leave out the row",
    "blank": "the blank is never part of a target: give the true target_lengths if this is padding; if it is a label, "
    "give the blank a class of its own with blank=..., or shift the labels by one",
    "frames": "count frames after the network's subsampling, not samples or pixels",
    "labels": "count the labels of the row without padding",
    "negative": "a length counts from 0; a padding value or an overflow is the likely cause",
}
CLASSES = "expected 0 to 3 without the blank 0"

SAID: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    (
        (LOGITS, but(TARGETS, (1, 2), 4)),
        {},
        errors.LabelError,
        f"targets[1, 2]: found label 4, {CLASSES}; {CAUSES['count from 1']}.",
    ),
    (
        (LOGITS, but(TARGETS, (0, 1), 2**32 + 1)),
        {},
        errors.LabelError,
        f"targets[0, 1]: found label 4294967297, {CLASSES}; {CAUSES['vocabulary']}.",
    ),
    (
        (LOGITS, but(TARGETS, (1, 2), -1)),
        {},
        errors.LabelError,
        f"targets[1, 2]: found label -1, {CLASSES}; {CAUSES['padding']}.",
    ),
    (
        (LOGITS, but(TARGETS, (1, 0), -1)),
        {},
        errors.LabelError,
        f"targets[1, 0]: found label -1, {CLASSES}; {CAUSES['unknown']}.",
    ),
    (
        (LOGITS, TARGETS),
        {"blank": -1},
        errors.LabelError,
        f"targets[0, 2]: found label 3, expected 0 to 3 without the blank 3; {CAUSES['blank']}.",
    ),
    (
        (LOGITS, TARGETS),
        {"blank": 4},
        errors.LabelError,
        "blank: found 4, expected -4 to 3 for 4 classes; the last class is -1 or classes - 1.",
    ),
    (
        (LOGITS, TARGETS),
        {"blank": 1.0},
        errors.DTypeError,
        "blank: expected an int, found float; convert it before the call.",
    ),
    (
        (LOGITS, TARGETS, but(FRAMES, 1, 7)),
        {},
        errors.LengthError,
        f"logit_lengths[1]: found 7, expected 0 to 6 (the size of the time axis); {CAUSES['frames']}.",
    ),
    (
        (LOGITS, TARGETS, but(FRAMES, 0, -1)),
        {},
        errors.LengthError,
        f"logit_lengths[0]: found -1, expected 0 to 6 (the size of the time axis); {CAUSES['negative']}.",
    ),
    (
        (LOGITS, TARGETS, FRAMES, but(LABELS, 1, 4)),
        {},
        errors.LengthError,
        f"target_lengths[1]: found 4, expected 0 to 3 (the size of the labels axis); {CAUSES['labels']}.",
    ),
    (
        (LOGITS[0], TARGETS),
        {},
        errors.ShapeError,
        "logits: expected shape (batch, time, classes), found (6, 4). Add a batch axis with logits[None].",
    ),
    (
        (LOGITS, TARGETS[None]),
        {},
        errors.ShapeError,
        "targets: expected shape (batch, labels) or (sum of target_lengths,), found (1, 2, 3).",
    ),
    (
        (LOGITS, TARGETS[:1]),
        {},
        errors.ShapeError,
        "targets: expected 2 rows, one for each row of logits, found 1; logits are batch first: (batch, time, "
        "classes).",
    ),
    (
        (LOGITS, TARGETS, FRAMES[:, None]),
        {},
        errors.ShapeError,
        "logit_lengths: expected shape (batch,), found (2, 1).",
    ),
    (
        (LOGITS, TARGETS, FRAMES, LABELS[:1]),
        {},
        errors.ShapeError,
        "target_lengths: expected 2 rows, one for each row of logits, found 1; logits are batch first: (batch, time, "
        "classes).",
    ),
    (
        (LOGITS, [[1, 2, 3], [1]]),
        {},
        errors.ShapeError,
        "targets: found rows of uneven length; pad them to one length and give target_lengths.",
    ),
    (
        (LOGITS, TARGETS.astype(np.float32)),
        {},
        errors.DTypeError,
        "targets: expected integers, found float32; convert it before the call.",
    ),
    (
        (LOGITS, TARGETS, FRAMES > 0),
        {},
        errors.DTypeError,
        "logit_lengths: expected integers, found bool; convert it before the call; of a mask, give mask.sum(1).",
    ),
    (
        (LOGITS, TARGETS, [1.0, 0.75]),
        {},
        errors.DTypeError,
        "logit_lengths[1]: expected integers, found 0.75, a fraction of the time axis; multiply by the axis size and "
        "round to the nearest integer for each row: round(0.75 * 6) = 4. Truncation loses one where the product lies "
        "just below an integer.",
    ),
    (
        (LOGITS, TARGETS, [1.0, 1.0]),
        {},
        errors.DTypeError,
        "logit_lengths: expected integers, found float64; cast whole numbers to integers before the call; if they are "
        "fractions of the time axis, round(fraction * 6) for each row.",
    ),
    (
        (LOGITS, TARGETS, None, np.array([3.0, 2.0], np.float32)),
        {},
        errors.DTypeError,
        "target_lengths: expected integers, found float32; cast whole numbers to integers before the call.",
    ),
    (
        (LOGITS, TARGETS, [6.0, 5.5]),
        {},
        errors.DTypeError,
        "logit_lengths[1]: expected integers, found 5.5; compute lengths in integers, as the network does: for example "
        "(length + stride - 1) // stride.",
    ),
    (
        (LOGITS, OPEN, np.array([6, 4])),
        {"infeasible": "raise"},
        errors.InfeasibleError,
        "row 1: no path fits: 3 labels with 2 adjacent repeats need 5 frames, found 4; subsample less in time, or "
        'drop the row; infeasible="zero" leaves such rows out of training.',
    ),
    (
        (but(LOGITS, (0, slice(None), 2), -np.inf), TARGETS),
        {"infeasible": "raise"},
        errors.InfeasibleError,
        "row 0: no path fits: every path meets a score of -inf (6 frames, 3 labels); unmask the blank and the "
        'target\'s classes; infeasible="zero" leaves such rows out of training.',
    ),
    (
        (np.full((2, 6, 4), 0.25), TARGETS),
        {"normalize": False},
        errors.NormalizationError,
        "logits: row 0 holds probabilities (its frames in use are in [0, 1] and add up to 1), expected "
        "log-probabilities; take their logarithm: log(p), or log_softmax in place of the softmax and not after it.",
    ),
    (
        (LOGITS, TARGETS),
        {"normalize": False},
        errors.NormalizationError,
        "logits[0, 0]: with normalize=False the scores must be log-probabilities, but this frame's probabilities add "
        "up to 4, expected at most 1.001; apply log_softmax once, or leave normalize=True.",
    ),
]


def about_scores(error: type[Exception], words: str) -> bool:
    return error is errors.NormalizationError or "every path meets" in words


EACH = pytest.mark.parametrize(
    ("args", "options", "error", "words"), SAID, ids=[row[-1].split(";")[0][:60] for row in SAID]
)


@EACH
def test_an_invalid_argument_raises_the_message_of_the_contract(
    frontend: Frontend, args: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    for function in (frontend.loss, frontend.posteriors):
        if about_scores(error, words):
            frontend.refuses_scores(lambda: function(*args, **options), error, f"^{re.escape(words)}$")  # noqa: B023
            continue
        with pytest.raises(error) as caught:
            function(*args, **options)
        assert (type(caught.value), str(caught.value)) == (error, words)


@EACH
def test_a_mistake_is_told_when_a_gradient_is_asked_for(
    frontend: Frontend, args: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    traced = frontend.traced_gradient and about_scores(error, words)
    if (traced and frontend.kernel == "whole-array") or (about_scores(error, words) and not frontend.sees_scores):
        assert np.isnan(frontend.loss_and_grad(*args, **options)[0]).any()
        return
    with pytest.raises(Exception if traced else error) as caught:
        frontend.loss_and_grad(*args, **options)
    assert words in str(caught.value) if traced else words == str(caught.value)


@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_scores_of_another_type_are_refused(float32_frontend: Frontend, dtype: str) -> None:
    frontend, words = (
        float32_frontend.of(dtype),
        r"logits: expected float16, bfloat16, float32 or float64, found (torch\.)?",
    )
    with pytest.raises(errors.DTypeError, match=words + dtype):
        frontend.loss(LOGITS, TARGETS)


def test_an_error_does_not_change_the_next_call(frontend: Frontend) -> None:
    """No state is hidden, and no error belongs to an earlier call."""
    before = frontend.loss_and_grad(LOGITS, TARGETS)
    with pytest.raises(errors.LabelError):
        frontend.loss_and_grad(LOGITS, but(TARGETS, (0, 0), 9))
    after = frontend.loss_and_grad(LOGITS, TARGETS)
    assert (after[0] == before[0]).all()
    assert (after[1] == before[1]).all()
