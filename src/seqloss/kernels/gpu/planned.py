"""A call of a form that was seen before: the same kernels, started on other memory.

Which kernels a call starts, on how many programs and with what numbers, follows from the form of its arguments alone:
types, shapes, strides, and whether 16 bytes divide an address. To find that out takes Python longer than the device
takes for a small batch. So what a form's second call starts is noted; from the third one on a call allocates twice, for
what it leaves for the gradient and for what it needs until then, and starts the kernels with addresses in there, in one
go (`series.py`).

Tensors that kernels are given must be the arguments, or memory that no one but the kernels has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from seqloss.kernels.gpu import ctc
from seqloss.kernels.gpu.gradient import Kept
from seqloss.kernels.gpu.launch import Launch, noting, on
from seqloss.kernels.gpu.series import Series, laid_out
from seqloss.kernels.gpu.tiles import interpreted

FORMS = 512
"""Of which it is known that they were seen; then all are forgotten."""
ALIGNMENT = 256
"""Bytes; what an allocator of CUDA's gives is aligned so."""
TEMPORARY, KEPT, RESULT, LOGITS, TARGETS, LOGIT_LENGTHS, TARGET_LENGTHS, LABEL_COUNTS, UPSTREAM, GRADIENT = range(10)
"""What an address is counted from."""


class Field(NamedTuple):
    """A tensor in the memory that is left for the gradient."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype


class Plan(NamedTuple):
    """What a call of a form starts, its result's shape, and bytes of both kinds of memory; what a gradient starts, by
    its own form, None where that is not laid out."""

    series: Series
    shape: torch.Size
    temporary: int
    kept: int
    fields: tuple[Field | None, ...]
    backward: dict[tuple[Any, ...], Series | None]


Arguments = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
"""Logits, targets, both lengths, and what a reduction counts where that is not the target's lengths."""


class Unplanned(Enum):
    """Why a form has no plan: it was seen once, or none can be made."""

    SEEN = auto()
    CANNOT = auto()


_plans: dict[tuple[Any, ...], Plan | Unplanned] = {}
"""By form."""


class Forward(NamedTuple):
    """The result, losses (batch,) or what they were reduced to, and for `backward` what is left: the tensors of
    `gradient.Kept`, or with a plan one."""

    result: torch.Tensor
    saved: tuple[Any, ...]
    plan: Plan | None


def forward(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, label_counts: torch.Tensor | None = None, **options: Any,
) -> Forward:  # fmt: skip
    """As `ctc.forward`."""
    arguments: Arguments = (logits, targets, logit_lengths, target_lengths, label_counts)
    if interpreted(logits.device):
        return _unplanned(arguments, options)
    form = (logits.device, *map(_form, arguments), *options.values())
    plan = _plans.get(form)
    if plan is Unplanned.SEEN:
        with on(logits.device):
            with noting() as launches:
                found = _unplanned(arguments, options)
            _plans[form] = _plan(launches, arguments, found) or Unplanned.CANNOT
        return found
    if not isinstance(plan, Plan):
        if plan is None:
            if len(_plans) >= FORMS:
                _plans.clear()
            _plans[form] = Unplanned.SEEN
        return _unplanned(arguments, options)
    with on(logits.device):
        result = torch.empty(plan.shape, dtype=torch.float32, device=logits.device)
        kept = _bytes(plan.kept, logits.device)
        temporary = _bytes(plan.temporary, logits.device)
        given = (0 if tensor is None else tensor.data_ptr() for tensor in (temporary, kept, result, *arguments))
        plan.series.start((*given, 0, 0), logits.device.index)
    return Forward(result, (kept,) if plan.fields else (), plan)


def backward(
    logits: torch.Tensor, found: Sequence[Any], plan: Plan | None, upstream: torch.Tensor, *, blank: int,
    mode: int,
) -> torch.Tensor:  # fmt: skip
    """As `ctc.backward`, of what `forward` has saved."""

    def ordinary() -> torch.Tensor:
        return ctc.backward(logits, unpacked(found, plan), upstream, blank=blank, mode=mode)

    if plan is None:
        return ordinary()
    form = (_form(logits), _form(found[0]), _form(upstream), mode)  # a hook may have saved what it liked
    if form not in plan.backward:
        with noting() as launches:
            gradient = ordinary()
        first = found[0].data_ptr()
        known = {first + field.offset: (KEPT, field.offset) for field in plan.fields if field is not None}
        for tensor, base in ((logits, LOGITS), (upstream, UPSTREAM), (gradient, GRADIENT)):
            known[tensor.data_ptr()] = (base, 0)
        with on(logits.device):
            plan.backward[form] = laid_out(launches, known)
        return gradient
    series = plan.backward[form]
    if series is None:
        return ordinary()
    with on(logits.device):
        gradient = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
        kept, source = found[0].data_ptr(), logits.data_ptr()
        bases = (0, kept, 0, source, 0, 0, 0, 0, upstream.data_ptr(), gradient.data_ptr())
        series.start(bases, logits.device.index)
    return gradient


def unpacked(found: Sequence[Any], plan: Plan | None) -> Kept:
    """What `forward` has saved as the tensors that it stands for."""
    if plan is None:
        return Kept(*found)
    (memory,) = found
    tensors: list[Any] = [field and _field(memory, *field) for field in plan.fields]
    return Kept(*tensors)


def _field(memory: torch.Tensor, offset: int, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    return memory[offset : offset + shape.numel() * dtype.itemsize].view(dtype).view(shape)


def _unplanned(arguments: Arguments, options: dict[str, Any]) -> Forward:
    losses, kept = ctc.forward(*arguments, **options)
    return Forward(losses.losses if losses.total is None else losses.total, tuple(kept or ()), None)


def _form(tensor: torch.Tensor | None) -> tuple[Any, ...] | None:
    return None if tensor is None else (tensor.dtype, tensor.shape, tensor.stride(), tensor.data_ptr() & 15 == 0)


def _bytes(size: int, device: torch.device) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _plan(launches: list[Launch], arguments: Arguments, found: Forward) -> Plan | None:
    """What to start another time; None where two arguments are the same memory, or one was copied for the kernels."""
    given = [(tensor, LOGITS + number) for number, tensor in enumerate(arguments) if tensor is not None]
    known = {tensor.data_ptr(): (base, 0) for tensor, base in given}
    if len(known) < len(given) or not all(tensor.is_contiguous() for tensor, _ in given if tensor.ndim == 1):
        return None
    known[found.result.data_ptr()] = (RESULT, 0)
    sizes = {TEMPORARY: 0, KEPT: 0}

    def place(tensor: torch.Tensor, base: int) -> int:
        assert tensor.is_contiguous()
        at = tensor.data_ptr()
        if at not in known:
            known[at] = (base, sizes[base])
            sizes[base] += -(-tensor.numel() * tensor.itemsize // ALIGNMENT) * ALIGNMENT
        return known[at][1]

    fields = tuple(
        None if tensor is None else Field(place(tensor, KEPT), tensor.shape, tensor.dtype) for tensor in found.saved
    )
    for launch in launches:
        for value in launch.args:
            if isinstance(value, torch.Tensor) and value.data_ptr() not in known:
                place(value, TEMPORARY)
    series = laid_out(launches, known)
    if series is None:
        return None
    return Plan(series, found.result.shape, sizes[TEMPORARY], sizes[KEPT], fields, {})
