"""Arguments where they live: what the host knows is held against the contract, what a device holds is left there.

A tensor on a device, or one that torch.compile is tracing, has no values for Python without a wait. Its shape and type
are checked all the same; of its values the kernels take care: a row in which they break the contract is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from seqloss import contract
from seqloss.errors import wrong_batch, wrong_dtype, wrong_rank
from seqloss.kernels.triton.available import reason_against
from seqloss.torch._compat import constant_for_dynamo
from seqloss.torch.arrays import integers_to_numpy

INTEGERS = {
    getattr(torch, name): np.dtype(name)
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
}


NAMES = ("targets", "logit_lengths", "target_lengths")
Form = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and type of an argument."""


class Given(NamedTuple):
    """A batch on the logits' device.

    Attributes:
        targets: integers (batch, labels).
        logit_lengths, target_lengths: integers (batch,), None where none are given.
        label_counts: integers (batch,), the lengths as they were given, for a reduction's weights; or None.
        blank: from 0.
        host: the same as the host knows it, where it knows labels and lengths.
    """

    targets: torch.Tensor
    logit_lengths: torch.Tensor | None
    target_lengths: torch.Tensor | None
    label_counts: torch.Tensor | None
    blank: int
    host: contract.Batch | None


def runs_on_triton(logits: Any) -> bool:
    """Whether scores go through the Triton kernels."""
    return isinstance(logits, torch.Tensor) and _runs(logits.device, logits.dtype)


@constant_for_dynamo
def _runs(device: torch.device, kind: torch.dtype) -> bool:
    return reason_against(device, kind) is None


def read_device_arguments(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, *, blank: int, validate: bool
) -> Given:
    """Check what can be checked without a wait, and bring the rest to the device.

    Raises:
        SeqLossError: as `seqloss.contract.validate`, about what the host knows.
    """
    targets, logit_lengths, target_lengths = arguments = tuple(
        values if hidden(values) else integers_to_numpy(values) for values in (targets, logit_lengths, target_lengths)
    )
    forms = tuple(map(_form, NAMES, arguments))

    def check() -> contract.Batch:
        shape = tuple(logits.shape)
        if isinstance(blank, int) and all(
            values is None or form for values, form in zip(arguments, forms, strict=True)
        ):
            return _validate_forms(shape, forms, blank, validate)
        return contract.validate(shape, *_stand_ins(shape, blank, forms, arguments), blank=blank, values=validate)

    one_row = logits.ndim == 3 and target_lengths is not None and _axes(targets) == 1
    if one_row and (forms[0] or forms[2]):
        if not forms[2]:  # otherwise whether they add up is seen on the device
            check()
        elif target_lengths.ndim != 1:
            raise wrong_rank("target_lengths", target_lengths.shape, "(batch,)")
        elif target_lengths.shape[0] != logits.shape[0]:
            raise wrong_batch("target_lengths", target_lengths.shape[0], logits.shape[0])
        rows, row_counts = padded(logits, targets, target_lengths)
        given = read_device_arguments(logits, rows, logit_lengths, row_counts, blank=blank, validate=validate)
        return given._replace(label_counts=_placed(target_lengths, target_lengths, logits.device))
    checked = check()
    counts = _lengths(target_lengths, checked.target_lengths, logits.device)
    return Given(
        _placed(targets, checked.targets, logits.device),
        _lengths(logit_lengths, checked.logit_lengths, logits.device),
        counts, counts, checked.blank, None if any(forms) else checked,
    )  # fmt: skip


def hidden(values: Any) -> bool:
    """Whether Python cannot see the values without a wait."""
    return isinstance(values, torch.Tensor) and not values.is_cpu


def _axes(values: Any) -> int | None:
    """How many axes values have; None for rows of uneven length."""
    try:
        return np.ndim(values)
    except ValueError:
        return None


def _form(name: str, values: Any) -> Form | None:
    """Shape and type of values that cannot be seen."""
    if not hidden(values):
        return None
    if values.dtype not in INTEGERS:
        raise wrong_dtype(name, str(values.dtype).removeprefix("torch."), "integers")
    return tuple(values.shape), INTEGERS[values.dtype]


def _stand_ins(shape: tuple[int, ...], blank: Any, forms: Iterable[Form | None], arguments: Iterable[Any]) -> list[Any]:
    """For values that cannot be seen, others of their form that no check objects to."""
    label = 1 if blank in (0, -shape[-1] if shape else 0) else 0
    return [
        values if form is None else np.full(form[0], number, form[1])
        for form, values, number in zip(forms, arguments, (label, 0, 0), strict=True)
    ]


@lru_cache(64, typed=True)
def _validate_forms(shape: tuple[int, ...], forms: tuple[Form | None, ...], blank: int, values: bool) -> contract.Batch:
    """Arguments of which nothing but their forms can be seen, held against the contract; kept without their space."""
    batch = contract.validate(shape, *_stand_ins(shape, blank, forms, (None, None, None)), blank=blank, values=values)
    targets, frames, counts = (
        np.broadcast_to(np.int64(0), array.shape)
        for array in (batch.targets, batch.logit_lengths, batch.target_lengths)
    )
    return contract.Batch(targets, frames, counts, batch.blank)


def _placed(given: Any, checked: Any, device: torch.device) -> torch.Tensor:
    """On the logits' device; a copy from the host is handed to the stream, and nothing waits for it."""
    if hidden(given):
        return given if given.device == device else given.to(device, non_blocking=True)
    own = torch.from_numpy(np.array(checked))  # the caller may fill pinned memory anew before it is copied
    return own.to(device, non_blocking=True)


def _lengths(given: Any, checked: np.ndarray, device: torch.device) -> torch.Tensor | None:
    return None if given is None else _placed(given, checked, device)


def padded(logits: torch.Tensor, targets: Any, target_lengths: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels one row after another as rows: a row of more labels than frames fits no path, however many they are.

    Where the lengths do not add up to the labels, every row's length becomes one that breaks the contract.
    """
    device = logits.device
    targets, counts = (
        values if hidden(values) else _placed(values, np.asarray(values), device)
        for values in (targets, target_lengths)
    )
    targets, counts = targets.to(torch.int64), counts.to(torch.int64)  # CUDA cannot index all types
    total = targets.shape[0]
    right = (counts.sum() == total) & (counts >= 0).all()
    longest = min(total, logits.shape[1] + 1)
    places = (counts.cumsum(0) - counts)[:, None] + torch.arange(longest, device=device)
    rows = targets[places.clamp(0, max(0, total - 1))] if total else targets.new_zeros((len(counts), 0))
    return rows, torch.where(right, counts.clamp(max=longest), -1)
