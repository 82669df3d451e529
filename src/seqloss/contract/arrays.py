"""Targets and lengths of a batch, checked once and brought into one form.

A frontend turns its framework's arguments into NumPy arrays and calls `validate`. Nothing here knows a framework, and
nothing past here checks an argument again.

Axes: batch N, time T, classes C, labels L.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss import errors
from seqloss.contract.float_lengths import refuse_float_lengths
from seqloss.contract.forms import Form, check_forms, form_of, label_axis


def as_array(name: str, values: Any, lengths: str = "") -> np.ndarray:
    """Values of the host as an array.

    Args:
        name: of the argument.
        values: an array, or (nested) lists.
        lengths: the argument that rows of uneven length need beside padding.

    Raises:
        ShapeError: rows of uneven length.
        DTypeError: a masked array, whose mask an array does not have.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise errors.masked_array(name)
    try:
        return np.asarray(values)
    except ValueError:
        raise errors.uneven_rows(name, lengths) from None


def as_integer_array(name: str, values: Any, lengths: str = "") -> np.ndarray:
    """As `as_array`; an empty list, which has no type of its own, holds integers."""
    array = as_array(name, values, lengths)
    untyped = array.size == 0 and not hasattr(values, "dtype")
    return array.astype(np.int64) if untyped else array


@dataclass(frozen=True)
class Batch:
    """What a kernel takes beside the scores; every entry is checked unless `validate=False` was asked for.

    Attributes:
        targets: int64 (batch, labels), C-contiguous; entries past a row's length are never read.
        logit_lengths: int64 (batch,), frames in use.
        target_lengths: int64 (batch,), labels in use.
        blank: the blank's class, from 0.
    """

    targets: np.ndarray
    logit_lengths: np.ndarray
    target_lengths: np.ndarray
    blank: int

    def copy(self) -> Batch:
        """The same in memory of its own, for what is computed when the caller may have changed its arrays."""
        return Batch(self.targets.copy(), self.logit_lengths.copy(), self.target_lengths.copy(), self.blank)


def validate(
    shape: tuple[int, ...],
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    values: bool = True,
) -> Batch:
    """Hold the arguments of a loss against the contract and bring them into one form.

    Args:
        shape: of the logits: (batch, time, classes).
        targets: integers (batch, labels), or all labels one row after another (sum of target_lengths,).
        logit_lengths: integers (batch,), frames; None for the whole time axis.
        target_lengths: integers (batch,), labels; None for the whole label axis.
        blank: any class; negative counts from the end.
        values: look at labels and lengths too; without it only ranks, sizes and types are checked, and a
            kernel answers a row that breaks the contract with NaN.

    A `Form` stands for an argument that cannot be seen: no value of it is checked, and the `Batch` has zeros there.

    Returns:
        the `Batch` for a kernel.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as the contract says.
    """
    given = (
        _array("targets", targets), _optional("logit_lengths", logit_lengths),
        _optional("target_lengths", target_lengths),
    )  # fmt: skip
    if len(shape) == 3:
        refuse_float_lengths("logit_lengths", given[1], "time", shape[1])
        refuse_float_lengths("target_lengths", given[2], "labels", label_axis(given[0].shape))
    blank = check_forms(shape, *map(_form, given), blank=blank)
    batch, time, classes = shape
    labels, frames, counts = map(_seen, given)
    frames = np.full(batch, time, np.int64) if frames is None else frames
    if labels.ndim == 1:
        labels, counts = _pad(labels, counts, isinstance(target_lengths, Form))
    elif counts is None:
        counts = np.full(batch, labels.shape[1], np.int64)
    if values:
        if logit_lengths is not None:
            _check_lengths("logit_lengths", frames, time, "time")
        if target_lengths is not None:
            _check_lengths("target_lengths", counts, labels.shape[1], "labels")
        if not isinstance(targets, Form):
            _check_labels(labels, counts, classes, blank)
    targets, frames, counts = (np.ascontiguousarray(array, np.int64) for array in (labels, frames, counts))
    return Batch(targets, frames, counts, blank)


def bad_rows(shape: tuple[int, ...], batch: Batch) -> dict[int, errors.SeqLossError]:
    """Every row whose lengths or labels `validate` would refuse, with what it would say.

    Args:
        shape: of the logits.
        batch: from `validate(..., values=False)`.
    """
    _, time, classes = shape
    labels = batch.targets.shape[1]
    found: dict[int, errors.SeqLossError] = {}
    for name, lengths, limit, axis in (
        ("logit_lengths", batch.logit_lengths, time, "time"),
        ("target_lengths", batch.target_lengths, labels, "labels"),
    ):
        for row in np.flatnonzero((lengths < 0) | (lengths > limit)):
            found.setdefault(int(row), errors.wrong_length(name, int(row), int(lengths[row]), limit, axis))
    wrong = _wrong_labels(batch.targets, batch.target_lengths, classes, batch.blank)
    for row in np.flatnonzero(wrong.any(axis=1)):
        found.setdefault(
            int(row), _wrong_label(batch.targets, batch.target_lengths, wrong, int(row), classes, batch.blank)
        )
    return dict(sorted(found.items()))


def _array(name: str, values: Any) -> Any:
    """Values as an array, of integers if there are none; a `Form` as it is."""
    if isinstance(values, Form):
        return values
    array = as_array(name, values, "target_lengths")
    untyped = array.size == 0 and not isinstance(values, np.ndarray)  # an empty list has no type of its own
    return array.astype(np.int64) if untyped else array


def _optional(name: str, values: Any) -> Any:
    return None if values is None else _array(name, values)


def _form(array: Any) -> Any:
    return array if array is None or isinstance(array, Form) else form_of(array.dtype, array.shape)


def _seen(array: Any) -> Any:
    """Zeros for a `Form`: as a length 0 is always right, and then no label is looked at."""
    return np.zeros(array.shape, np.int64) if isinstance(array, Form) else array


def _pad(labels: np.ndarray, counts: np.ndarray, unseen: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows one after another, (sum of lengths,), into (batch, longest); no labels where lengths are unseen."""
    if not unseen:
        _check_lengths("target_lengths", counts, labels.shape[0], "labels")
    if not unseen and counts.sum() != labels.shape[0]:
        raise errors.uneven_concatenation(int(counts.sum()), labels.shape[0])
    padded = np.zeros((len(counts), int(counts.max(initial=0))), labels.dtype)
    inside = np.arange(padded.shape[1]) < counts[:, None]
    padded[inside] = labels[: np.count_nonzero(inside)]
    return padded, counts


def _check_lengths(name: str, lengths: np.ndarray, limit: int, axis: str) -> None:
    wrong = np.flatnonzero((lengths < 0) | (lengths > limit))
    if wrong.size:
        raise errors.wrong_length(name, int(wrong[0]), int(lengths[wrong[0]]), limit, axis)


def _check_labels(labels: np.ndarray, counts: np.ndarray, classes: int, blank: int) -> None:
    wrong = _wrong_labels(labels, counts, classes, blank)
    if wrong.any():
        raise _wrong_label(labels, counts, wrong, int(np.argmax(wrong.any(axis=1))), classes, blank)


def _wrong_label(
    labels: np.ndarray, counts: np.ndarray, wrong: np.ndarray, row: int, classes: int, blank: int
) -> errors.LabelError:
    """What to say of the first wrong label of a row."""
    position = int(np.argmax(wrong[row]))
    follow = bool((labels[row, position + 1 : int(counts[row])] >= 0).any())
    return errors.wrong_label(row, position, int(labels[row, position]), classes, blank, labels_follow=follow)


def _wrong_labels(labels: np.ndarray, counts: np.ndarray, classes: int, blank: int) -> np.ndarray:
    """Labels in use that are no class of their own, bool (batch, labels)."""
    wrong = (labels < 0) | (labels >= classes) | (labels == blank)
    if wrong.any():
        wrong &= np.arange(labels.shape[1]) < counts[:, None]
    return wrong
