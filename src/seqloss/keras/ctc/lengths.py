"""Lengths of rows, from padding, an end-of-sequence class, a prediction or a mask.

All functions use `keras.ops`, so that every backend can trace them, also with sizes that TensorFlow does not know yet.
Lengths are int32 (batch,).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from seqloss.keras.ctc.shapes import size

NONE = 2**31 - 1
"""Larger than every position in a row."""


def last_label(y_true: Any, padding: float | None) -> Any:
    """Return the position of the last entry that is not padding, counted from 1.

    Padding between labels does not end a row: the loss raises an error for it.

    Args:
        y_true: (batch, labels), in any type.
        padding: the number that pads a row, possibly NaN; None for no padding.
    """
    labels = size(y_true, 1)
    if padding is None:
        return ops.zeros((size(y_true, 0),), dtype="int32") + ops.cast(labels, "int32")
    used = ops.not_equal(y_true, padding) if padding == padding else ops.logical_not(ops.isnan(y_true))
    place = ops.where(used, _positions(labels), 0)
    return ops.max(ops.pad(place, [[0, 1], [1, 0]]), axis=1)[:-1]  # torch and TensorFlow have no maximum of nothing


def first_end(classes: Any, end: int, otherwise: Any) -> Any:
    """Return the position of the first end-of-sequence class, counted from 1; `otherwise` for rows without one.

    Args:
        classes: integers (batch, n).
        otherwise: lengths (batch,).
    """
    place = ops.where(ops.equal(classes, end), _positions(size(classes, 1)), NONE)
    first = ops.min(ops.pad(place, [[0, 1], [1, 0]], constant_values=NONE), axis=1)[:-1]
    return ops.where(ops.equal(first, NONE), ops.cast(otherwise, "int32"), first)


def best_end(y_pred: Any, end: int) -> Any:
    """Return the first frame whose most probable class is `end`, counted from 1; else the last frame."""
    return first_end(ops.argmax(y_pred, axis=2), end, all_frames(y_pred))


def round_lengths(lengths: Any, y_pred: Any) -> Any:
    """Round predicted lengths (batch,) to integers from 0 to the number of frames; NaN counts as all frames."""
    frames = ops.cast(size(y_pred, 1), lengths.dtype)
    lengths = ops.where(ops.isnan(lengths), frames, lengths)
    return ops.cast(ops.round(ops.clip(lengths, 0, frames)), "int32")


def at_least_needed(logit_lengths: Any, y_pred: Any, targets: Any, target_lengths: Any) -> Any:
    """Raise lengths to the number of labels and adjacent repeats, at most to the number of frames.

    An untrained network predicts any length. With fewer frames there is no path, and the network would not learn.
    """
    needed = ops.cast(target_lengths, "int32")
    inside = (_positions(size(targets, 1)) <= needed[:, None])[:, 1:]
    repeats = ops.logical_and(ops.equal(targets[:, 1:], targets[:, :-1]), inside)
    needed = needed + ops.sum(ops.cast(repeats, "int32"), axis=1)
    return ops.minimum(ops.maximum(logit_lengths, needed), all_frames(y_pred))


def all_frames(y_pred: Any) -> Any:
    """Return the number of frames for each row."""
    return ops.zeros((size(y_pred, 0),), dtype="int32") + ops.cast(size(y_pred, 1), "int32")


def without_masked(y_pred: Any, mask: Any) -> tuple[Any, Any]:
    """Move the frames that a Keras mask keeps to the front of each row; return them and their number.

    Args:
        y_pred: (batch, time, classes).
        mask: bool (batch, time), True for frames in use, at any position: `pad_sequences` pads at the front.
    """
    rows, frames = size(y_pred, 0), size(y_pred, 1)
    mask = ops.reshape(ops.cast(mask, "bool"), (rows, frames))  # another size is an error, at run time at the latest
    place = ops.arange(frames, dtype="int32")[None, :]
    order = ops.argsort(ops.where(mask, place, place + frames), axis=1)  # (batch, time)
    moved = ops.take_along_axis(y_pred, ops.broadcast_to(order[:, :, None], ops.shape(y_pred)), axis=1)
    return moved, ops.sum(ops.cast(mask, "int32"), axis=1)


def _positions(count: Any) -> Any:
    """Return 1, 2, ... as int32 (1, count)."""
    return (ops.arange(count, dtype="int32") + 1)[None, :]
