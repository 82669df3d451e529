"""Which steps of a padded batch are real, and what is checked of the arguments that say so.

A step is real if everything that is given says so: it lies within its row's length, its mask is not 0, and its target
is not the padding. With nothing given, all steps are real.

Axes: batch N, time T, classes C. An argument is an array, or a `Form` if its values cannot be seen; then only its shape
and its type are checked. A size is None where a framework does not know it yet.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from seqloss import errors
from seqloss.contract.arrays import as_integer_array
from seqloss.contract.float_lengths import refuse_float_lengths
from seqloss.contract.forms import Form, form_of

INT32 = np.iinfo(np.int32)

STEPS_GIVEN_BY = "lengths, or a mask"
"""What rows of uneven length need beside padding."""


def as_step_array(name: str, values: Any) -> np.ndarray:
    """Targets, lengths or a mask of the host as an array; raises `ShapeError` for rows of uneven length."""
    return as_integer_array(name, values, STEPS_GIVEN_BY)


def check_steps(of: str, shape: tuple[Any, ...], lengths: Any, mask: Any) -> None:
    """Hold lengths and a mask against the steps of an argument.

    Args:
        of: the argument's name.
        shape: its shape, (batch, time, ...).
        lengths: (batch,), an array, a `Form` or None.
        mask: (batch, time), an array, a `Form` or None.

    Raises:
        ShapeError, DTypeError, LengthError
    """
    if lengths is not None:
        _check_lengths(of, shape, lengths)
    if mask is not None:
        form = _form(mask)
        if not form.integers and not str(form.dtype).endswith("bool"):
            advice = "give mask == 0 of an additive mask (0 and -inf), mask != 0 of one of ones and zeros"
            raise errors.wrong_dtype("mask", form.dtype, "booleans, or integers that are 0 in padding", advice)
        if not fits(form.shape, shape[:2]):
            raise errors.wrong_steps("mask", form.shape, of, shape[:2])


def check_classes(
    shape: tuple[Any, ...], targets: Any, lengths: Any, mask: Any, padding: int | None, smoothing: float
) -> None:
    """Hold the arguments of a cross-entropy against the contract; labels where all of them can be seen.

    Args:
        shape: of the logits, (batch, time, classes).
        targets: (batch, time), an array or a `Form`.
        lengths, mask: as in `check_steps`.
        padding: label of padding, or None.
        smoothing: the share of the label that all classes get.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError, OptionError
    """
    _check_smoothing(smoothing)
    _check_padding_label(padding)
    if len(shape) != 3:
        raise errors.wrong_rank("logits", shape, "(batch, time, classes)", "Add a batch axis with logits[None].")
    if shape[2] == 0:
        raise errors.wrong_rank("logits", shape, "(batch, time, classes)", "At least one class is needed.")
    form = _form(targets)
    if not form.integers:
        one_hot = len(form.shape) == 3
        advice = "take the argmax over the last axis of one-hot targets" if one_hot else "convert it before the call"
        raise errors.wrong_dtype("targets", form.dtype, "integers, one label for each step", advice)
    if not fits(form.shape, shape[:2]):
        raise errors.wrong_steps("targets", form.shape, "logits", shape[:2])
    check_steps("logits", shape, lengths, mask)
    if any(isinstance(values, Form) for values in (targets, lengths, mask)) or shape[2] is None:
        return
    wrong = find_real_steps(targets.shape, lengths, mask) & ((targets < 0) | (targets >= shape[2]))
    if padding is not None:
        wrong &= targets != padding
    if wrong.any():
        row, step = (int(place[0]) for place in np.nonzero(wrong))
        raise errors.wrong_step_label(row, step, int(targets[row, step]), shape[2], padding)


def check_numbers(shape: tuple[Any, ...], targets: Form, lengths: Any, mask: Any, padding: float | None) -> None:
    """Hold the arguments of a squared or absolute error against the contract.

    Args:
        shape: of the predictions, (batch, time, ...).
        targets: the form of the targets, of the same shape.
        lengths, mask: as in `check_steps`.
        padding: number that pads the targets, or None.

    Raises:
        ShapeError, DTypeError, LengthError, OptionError
    """
    check_padding(padding)
    if len(shape) < 2:
        raise errors.wrong_rank("predictions", shape, "(batch, time) or (batch, time, ...)")
    if not targets.integers and "float" not in str(targets.dtype):
        raise errors.wrong_dtype("targets", targets.dtype, "numbers: a floating type, or integers")
    if not fits(targets.shape, shape):
        hint = "Nothing is broadcast: an axis of size 1 too many is the usual cause; remove it, for example x[..., 0]."
        raise errors.wrong_rank("targets", targets.shape, f"{tuple(shape)}, that of the predictions", hint)
    check_steps("predictions", shape, lengths, mask)


def check_padding(padding: object) -> None:
    """Raise `OptionError` for a padding that is neither a number nor None."""
    if padding is not None and (isinstance(padding, bool) or not isinstance(padding, Real)):
        raise errors.OptionError(f"padding: expected a number that pads the targets, or None, found {padding!r}.")


def find_real_steps(shape: tuple[int, ...], lengths: np.ndarray | None, mask: np.ndarray | None) -> np.ndarray:
    """Which steps are real by lengths and mask, bool (batch, time)."""
    real = np.ones(shape, bool)
    if lengths is not None:
        real &= np.arange(shape[1]) < lengths[:, None]
    if mask is not None:
        real &= mask != 0
    return real


def fits(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Whether two shapes are equal where both are known."""
    return len(found) == len(expected) and all(
        size is None or other is None or size == other for size, other in zip(found, expected, strict=True)
    )


def _check_lengths(of: str, shape: tuple[Any, ...], lengths: Any) -> None:
    form, time = _form(lengths), shape[1]
    refuse_float_lengths("lengths", lengths, "time", time)
    if not form.integers and "float" in str(form.dtype):
        raise errors.float_lengths("lengths", form.dtype, "time", time, maybe_fractions=True)
    if not form.integers:
        mask = len(form.shape) > 1
        advice = "give a mask as mask=, not in the place of lengths" if mask else "convert it before the call"
        raise errors.wrong_dtype("lengths", form.dtype, "integers", advice)
    if not fits(form.shape, shape[:1]):
        raise errors.wrong_steps("lengths", form.shape, of, shape[:1])
    if isinstance(lengths, Form) or time is None:
        return
    wrong = np.flatnonzero((lengths < 0) | (lengths > time))
    if wrong.size:
        raise errors.wrong_length("lengths", int(wrong[0]), int(lengths[wrong[0]]), time, "time")


def _check_smoothing(smoothing: Any) -> None:
    if isinstance(smoothing, bool) or not isinstance(smoothing, Real) or not 0 <= float(smoothing) <= 1:
        raise errors.OptionError(f"label_smoothing: expected a number from 0 to 1, found {smoothing!r}.")


def _check_padding_label(padding: Any) -> None:
    integer = isinstance(padding, (int, np.integer)) and not isinstance(padding, bool)
    if padding is not None and not (integer and INT32.min <= padding <= INT32.max):
        raise errors.OptionError(
            f"padding: expected the label of padding, an integer of 32 bits, or None, found {padding!r}."
        )


def is_nan(padding: float | None) -> bool:
    """Whether NaN itself pads the targets."""
    return padding is not None and math.isnan(padding)


def _form(values: Any) -> Form:
    return values if isinstance(values, Form) else form_of(values.dtype, values.shape)
