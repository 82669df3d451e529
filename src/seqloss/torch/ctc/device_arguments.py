"""Arguments where they live: what the host knows is held against the contract, what a device holds is left there.

A tensor on a device, or one that torch.compile is tracing, has no values for Python without a wait. Its shape and type
are checked all the same; of its values the kernels take care: a row in which they break the contract is NaN.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Form
from seqloss.kernels.triton.available import reason_against
from seqloss.torch._compat import constant_for_dynamo
from seqloss.torch.arrays import integers_to_numpy

INTEGERS = frozenset(
    getattr(torch, name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
)


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
    arguments = (targets, logit_lengths, target_lengths)
    given = tuple(values if hidden(values) else integers_to_numpy(values) for values in arguments)
    forms: tuple[Any, ...] = tuple(_form(values) if hidden(values) else None for values in given)
    if forms[0] and all(values is None or form for values, form in zip(given, forms, strict=True)):
        blank = contract.check_forms(tuple(logits.shape), *forms, blank=blank)
        return _place_on_device(logits, given, blank, None)
    seen = (form or values for values, form in zip(given, forms, strict=True))
    batch = contract.validate(tuple(logits.shape), *seen, blank=blank, values=validate)
    in_rows = not any(forms) or np.ndim(given[0]) == 2
    arrays = (batch.targets if in_rows else given[0], batch.logit_lengths, batch.target_lengths)
    tensors = tuple(
        values if values is None or form else _copy_to_device(array, logits.device)
        for values, array, form in zip(given, arrays, forms, strict=True)
    )
    return _place_on_device(logits, tensors, batch.blank, None if any(forms) else batch)


def read_traced_arguments(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, *, blank: int
) -> Given:
    """The same while a program is traced: no value is known, on whatever device it lives."""
    labels = torch.as_tensor(targets)
    frames, counts = (None if x is None else torch.as_tensor(x) for x in (logit_lengths, target_lengths))
    blank = check_traced_forms(logits, labels, frames, counts, blank=blank)
    return _place_on_device(logits, (labels, frames, counts), blank, None)


def check_traced_forms(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, *, blank: int,
) -> int:  # fmt: skip
    """Check shapes and types; return the blank, from 0."""
    lengths = (None if x is None else _form(x) for x in (logit_lengths, target_lengths))
    return contract.check_forms(tuple(logits.shape), _form(targets), *lengths, blank=blank)


def hidden(values: Any) -> bool:
    """Whether Python cannot see the values without a wait."""
    return isinstance(values, torch.Tensor) and not values.is_cpu


def _form(values: torch.Tensor) -> Form:
    return Form(tuple(values.shape), str(values.dtype).removeprefix("torch."), values.dtype in INTEGERS)


def _copy_to_device(array: Any, device: torch.device) -> torch.Tensor:
    """A copy of the host's, which is handed to the stream, and nothing waits for it."""
    own = torch.from_numpy(np.array(array))  # the caller may fill pinned memory anew before it is copied
    return own.to(device, non_blocking=True)


def _place_on_device(logits: torch.Tensor, given: tuple[Any, ...], blank: int, host: contract.Batch | None) -> Given:
    """Targets and lengths, tensors of checked forms or None, on the logits' device; labels in rows."""
    targets, logit_lengths, counts = (
        values if values is None or values.device == logits.device else values.to(logits.device, non_blocking=True)
        for values in given
    )
    label_counts = counts
    if targets.ndim == 1:
        targets, counts = pad_rows(targets, counts, logits.shape[1])
    return Given(targets, logit_lengths, counts, label_counts, blank, host)


def pad_rows(targets: torch.Tensor, counts: torch.Tensor, time: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels one row after another as rows: a row of more labels than frames fits no path, however many they are.

    Where the lengths do not add up to the labels, every row's length becomes one that breaks the contract.
    """
    targets, counts = targets.to(torch.int64), counts.to(torch.int64)  # CUDA cannot index all types
    total = targets.shape[0]
    right = (counts.sum() == total) & (counts >= 0).all()
    longest = min(total, time + 1)
    places = (counts.cumsum(0) - counts)[:, None] + torch.arange(longest, device=targets.device)
    rows = targets[places.clamp(0, max(0, total - 1))] if total else targets.new_zeros((len(counts), 0))
    return rows, torch.where(right, counts.clamp(max=longest), -1)
