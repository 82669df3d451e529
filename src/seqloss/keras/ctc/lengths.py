"""Where a row ends: read from padding, from an end-of-sequence class, from a prediction or from a mask.

All in `keras.ops`, so that it can be traced on every backend, with sizes that TensorFlow does not know yet. Lengths
are int32 (batch,).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from seqloss.keras.ctc.shapes import size

NONE = 2**31 - 1
"""Past every place in a row."""


def last_label(y_true: Any, padding: float | None) -> Any:
    """The place of the last entry that is not padding, counted from 1; for None, the whole axis.

    Padding further in is no end: the loss names it as a label that is no class.

    Args:
        y_true: (batch, labels), in any type.
        padding: the number that fills a row up; NaN is one.
    """
    labels = size(y_true, 1)
    if padding is None:
        return ops.zeros((size(y_true, 0),), dtype="int32") + ops.cast(labels, "int32")
    used = ops.not_equal(y_true, padding) if padding == padding else ops.logical_not(ops.isnan(y_true))
    place = ops.where(used, _positions(labels), 0)
    return ops.max(ops.pad(place, [[0, 0], [1, 0]]), axis=1)  # at least one wide: torch has no largest of nothing


def first_end(classes: Any, end: int, otherwise: Any) -> Any:
    """The place of the first end-of-sequence class, counted from 1; `otherwise` for rows without one.

    Args:
        classes: integers (batch, n).
        otherwise: lengths (batch,).
    """
    place = ops.where(ops.equal(classes, end), _positions(size(classes, 1)), NONE)
    first = ops.min(ops.pad(place, [[0, 0], [1, 0]], constant_values=NONE), axis=1)
    return ops.where(ops.equal(first, NONE), ops.cast(otherwise, "int32"), first)


def best_end(y_pred: Any, end: int) -> Any:
    """The frame in which the end-of-sequence class is first the best of all, counted from 1; else the last frame."""
    return first_end(ops.argmax(y_pred, axis=2), end, all_frames(y_pred))


def round_lengths(lengths: Any, y_pred: Any) -> Any:
    """Predicted lengths (batch,) as whole ones from 0 to the time axis; what is no number counts as all frames."""
    frames = ops.cast(size(y_pred, 1), lengths.dtype)
    lengths = ops.where(ops.isnan(lengths), frames, lengths)
    return ops.cast(ops.round(ops.clip(lengths, 0, frames)), "int32")


def at_least_needed(logit_lengths: Any, y_pred: Any, targets: Any, target_lengths: Any) -> Any:
    """No fewer frames than labels and adjacent repeats, if the time axis has as many.

    A network that has not learnt yet ends anywhere; with fewer frames than that no path fits, and it would never learn.
    """
    needed = ops.cast(target_lengths, "int32")
    inside = (_positions(size(targets, 1)) <= needed[:, None])[:, 1:]
    repeats = ops.logical_and(ops.equal(targets[:, 1:], targets[:, :-1]), inside)
    needed = needed + ops.sum(ops.cast(repeats, "int32"), axis=1)
    return ops.minimum(ops.maximum(logit_lengths, needed), all_frames(y_pred))


def all_frames(y_pred: Any) -> Any:
    """The time axis' size for each row."""
    return ops.zeros((size(y_pred, 0),), dtype="int32") + ops.cast(size(y_pred, 1), "int32")


def without_masked(y_pred: Any, mask: Any) -> tuple[Any, Any]:
    """Frames that a Keras mask keeps, moved to the front of each row, and their number.

    Args:
        y_pred: (batch, time, classes).
        mask: bool (batch, time), True for frames in use, wherever they stand: `pad_sequences` pads in front.
    """
    rows, frames = size(y_pred, 0), size(y_pred, 1)
    mask = ops.reshape(ops.cast(mask, "bool"), (rows, frames))  # of another size: an error, at the latest at run time
    place = ops.arange(frames, dtype="int32")[None, :]
    order = ops.argsort(ops.where(mask, place, place + frames), axis=1)  # (batch, time)
    moved = ops.take_along_axis(y_pred, ops.broadcast_to(order[:, :, None], ops.shape(y_pred)), axis=1)
    return moved, ops.sum(ops.cast(mask, "int32"), axis=1)


def _positions(count: Any) -> Any:
    """1, 2, ... as int32 (1, count)."""
    return (ops.arange(count, dtype="int32") + 1)[None, :]
