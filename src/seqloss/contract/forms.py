"""Ranks, sizes and types of a call's arguments: what is checked of an array whose values cannot be seen.

Plain Python without NumPy's arrays, so that torch.compile can trace it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seqloss import errors


class Form(NamedTuple):
    """An argument that is traced, or on a device.

    Attributes:
        shape: of the array.
        dtype: its name in messages.
        integers: whether that is an integer type.
    """

    shape: tuple[int, ...]
    dtype: Any
    integers: bool


def form_of(dtype: Any, shape: tuple[int, ...]) -> Form:
    """Of an array with a NumPy type."""
    kind: np.dtype[Any] = np.dtype(dtype)
    return Form(tuple(shape), kind, kind.kind in "iu")


def check_forms(
    shape: tuple[int, ...], targets: Form, logit_lengths: Form | None, target_lengths: Form | None, *, blank: Any
) -> int:
    """Check everything but labels and lengths themselves; the blank from 0.

    Args: as `validate`.

    Raises:
        ShapeError, DTypeError; LabelError for the blank.
    """
    if len(shape) != 3:
        raise errors.wrong_rank("logits", shape, "(batch, time, classes)", "Add a batch axis with logits[None].")
    batch, _, classes = shape
    blank = _blank(blank, classes)
    _check_integers("targets", targets)
    _check_lengths("logit_lengths", logit_lengths, batch, "time", shape[1])
    if len(targets.shape) == 1 and target_lengths is None:
        raise errors.wrong_rank(
            "targets", targets.shape, "(batch, labels)", "Concatenated 1-D targets need target_lengths."
        )
    if len(targets.shape) == 2 and targets.shape[0] != batch:
        raise errors.wrong_batch("targets", targets.shape[0], batch)
    if len(targets.shape) not in (1, 2):
        raise errors.wrong_rank("targets", targets.shape, "(batch, labels) or (sum of target_lengths,)")
    _check_lengths("target_lengths", target_lengths, batch, "labels", label_axis(targets.shape))
    return blank


def label_axis(shape: tuple[int, ...]) -> int | None:
    """The size of the label axis of targets; None for concatenated ones."""
    return shape[1] if len(shape) == 2 else None


def _blank(blank: Any, classes: int) -> int:
    if isinstance(blank, bool) or not isinstance(blank, (int, np.integer)):
        raise errors.wrong_dtype("blank", type(blank).__name__, "an int")
    if not -classes <= blank < classes:
        raise errors.wrong_blank(int(blank), classes)
    return int(blank) % classes


def _check_integers(name: str, form: Form) -> None:
    if not form.integers:
        mask = name.endswith("lengths") and "bool" in str(form.dtype)
        advice = "convert it before the call; of a mask, give mask.sum(1)" if mask else ""
        raise errors.wrong_dtype(name, form.dtype, "integers", advice)


def _check_lengths(name: str, form: Form | None, batch: int, axis: str, size: int | None) -> None:
    if form is None:
        return
    if not form.integers and "float" in str(form.dtype):
        raise errors.float_lengths(name, form.dtype, axis, size, maybe_fractions=True)
    _check_integers(name, form)
    if len(form.shape) != 1:
        raise errors.wrong_rank(name, form.shape, "(batch,)")
    if form.shape[0] != batch:
        raise errors.wrong_batch(name, form.shape[0], batch)
