"""A call of a form that was seen before: the same kernels, started on other memory.

Which kernels a call starts, on how many programs and with what numbers, follows from the form of its arguments alone:
types, shapes, strides, and whether 16 bytes divide an address. To find that out takes Python longer than the device
takes for a small batch. So what a form's second call starts is noted; from the third one on a call allocates twice, for
what it leaves for the gradient and for what it needs until then, and starts the kernels with addresses in there, in one
go (`launch_list.py`). SEQLOSS_CUDA_REPLAY=0 turns this off: every call then finds out anew what to start.

Tensors that kernels are given must be the arguments, or memory that no one but the kernels has written.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.kernels.triton.ctc.loss import Losses
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.kernels.triton.launch import Launch, on, recording
from seqloss.kernels.triton.launch_list import LaunchList, laid_out
from seqloss.kernels.triton.tiles import interpreted

FORMS = 512
"""Of which it is known that they were seen; then all are forgotten. Of one form's upstreams no more are noted."""
ALIGNMENT = 256
"""Bytes; what an allocator of CUDA's gives is aligned so."""
TEMPORARY, RESIDUALS, RESULT, LOGITS, TARGETS, LOGIT_LENGTHS, TARGET_LENGTHS, LABEL_COUNTS, UPSTREAM, GRADIENT = range(
    10
)
"""What an address is counted from."""


class Field(NamedTuple):
    """A tensor in the memory that is left for the gradient."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype


class Layout(NamedTuple):
    """Where the tensors of `residuals.Residuals` are in that memory, None for what is none, and its bytes."""

    fields: tuple[Field | None, ...]
    size: int


class Plan(NamedTuple):
    """What a call of a form starts, its result's shape, bytes of memory that it needs until it is done, and what it
    leaves; what a gradient starts, by its own form, None where that is not laid out."""

    launch_list: LaunchList
    shape: torch.Size
    temporary: int
    layout: Layout
    backward: dict[tuple[Any, ...], LaunchList | None]


Arguments = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
"""Logits, targets, both lengths, and what a reduction counts where that is not the target's lengths."""


class Unplanned(Enum):
    """Why a form has no plan: it was seen once, or none can be made."""

    SEEN = auto()
    CANNOT = auto()


_plans: dict[tuple[Any, ...], Plan | Unplanned] = {}
"""By form."""


class Forward(NamedTuple):
    """A call's result, losses (batch,) or what they were reduced to, and for `backward` one piece of memory, laid out.

    It is one whether a call was planned or not: what autograd is given to save must not depend on calls before, which a
    checkpoint's second look at a form is not spared.
    """

    result: torch.Tensor
    residuals: torch.Tensor | None
    layout: Layout | None
    plan: Plan | None


def enabled() -> bool:
    """Whether calls may be replayed: the environment's SEQLOSS_CUDA_REPLAY is not 0."""
    return os.environ.get("SEQLOSS_CUDA_REPLAY", "1") != "0"


def forward(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, label_counts: torch.Tensor | None = None, **options: Any,
) -> Forward:  # fmt: skip
    """As `ctc.forward`."""
    arguments: Arguments = (logits, targets, logit_lengths, target_lengths, label_counts)
    if interpreted(logits.device) or not enabled():
        return _packed(*ctc.forward(*arguments, **options))
    form = (logits.device, *map(_form, arguments), *options.values())
    plan = _plans.get(form)
    if plan is Unplanned.SEEN:
        with on(logits.device):
            with recording() as launches:
                losses, residuals = ctc.forward(*arguments, **options)
            _plans[form] = _plan(launches, arguments, losses, residuals) or Unplanned.CANNOT
            return _packed(losses, residuals)
    if not isinstance(plan, Plan):
        if plan is None:
            if len(_plans) >= FORMS:
                _plans.clear()
            _plans[form] = Unplanned.SEEN
        return _packed(*ctc.forward(*arguments, **options))
    with on(logits.device):
        result = torch.empty(plan.shape, dtype=torch.float32, device=logits.device)
        memory = _bytes(plan.layout.size, logits.device)
        temporary = _bytes(plan.temporary, logits.device)
        given = (0 if tensor is None else tensor.data_ptr() for tensor in (temporary, memory, result, *arguments))
        plan.launch_list.start((*given, 0, 0), logits.device.index)
    return Forward(result, memory, plan.layout, plan)


def backward(
    logits: torch.Tensor, residuals: torch.Tensor, layout: Layout, plan: Plan | None, upstream: torch.Tensor, *, blank:
    int,
    mode: int,
) -> torch.Tensor:  # fmt: skip
    """As `ctc.backward`, of what `forward` has left."""
    residuals = _whole(residuals)

    def ordinary() -> torch.Tensor:
        return ctc.backward(logits, unpacked(residuals, layout), upstream, blank=blank, mode=mode)

    if plan is None:
        return ordinary()
    form = (logits.device, _form(logits), _form(residuals), _form(upstream), mode)
    if form not in plan.backward:
        if len(plan.backward) >= FORMS:
            return ordinary()
        with on(logits.device), recording() as launches:
            gradient = ordinary()
            given = {LOGITS: logits, UPSTREAM: upstream, GRADIENT: gradient}
            known = {residuals.data_ptr() + field.offset: (RESIDUALS, field.offset) for field in layout.fields if field}
            others = {tensor.data_ptr(): (base, 0) for base, tensor in given.items()}
            if len(others) == len(given) and not others.keys() & known.keys():
                plan.backward[form] = laid_out(launches, known | others)
        return gradient
    launch_list = plan.backward[form]
    if launch_list is None:
        return ordinary()
    with on(logits.device):
        gradient = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
        bases = (0, residuals.data_ptr(), 0, logits.data_ptr(), 0, 0, 0, 0, upstream.data_ptr(), gradient.data_ptr())
        launch_list.start(bases, logits.device.index)
    return gradient


def unpacked(residuals: torch.Tensor, layout: Layout) -> Residuals:
    """What `forward` has left as the tensors that it stands for."""
    whole = _whole(residuals)
    tensors: list[Any] = [field and _field(whole, *field) for field in layout.fields]
    return Residuals(*tensors)


def _whole(residuals: torch.Tensor) -> torch.Tensor:
    """What `forward` has left, in one piece: a hook may have brought it back in others, or to an odd address."""
    in_place = residuals.is_contiguous() and not (residuals.storage_offset() | residuals.data_ptr()) & 7
    return residuals if in_place else residuals.clone(memory_format=torch.contiguous_format)


def _field(memory: torch.Tensor, offset: int, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    return memory[offset : offset + shape.numel() * dtype.itemsize].view(dtype).view(shape)


def _packed(losses: Losses, residuals: Residuals | None) -> Forward:
    """What a call leaves that was not planned, as one that was would leave it."""
    if residuals is None:
        return Forward(losses.result, None, None, None)
    layout = _layout(residuals)
    memory = _bytes(layout.size, losses.result.device)
    for tensor, field in zip(residuals, layout.fields, strict=True):
        if tensor is not None and field is not None:
            _field(memory, *field).copy_(tensor)
    return Forward(losses.result, memory, layout, None)


def _layout(residuals: Residuals | None) -> Layout:
    fields: list[Field | None] = []
    size = 0
    for tensor in residuals or ():
        fields.append(None if tensor is None else Field(size, tensor.shape, tensor.dtype))
        size += 0 if tensor is None else _aligned(tensor)
    return Layout(tuple(fields), size)


def _aligned(tensor: torch.Tensor) -> int:
    """A tensor's bytes, and those up to where the next may begin."""
    return -(-tensor.numel() * tensor.itemsize // ALIGNMENT) * ALIGNMENT


def _form(tensor: torch.Tensor | None) -> tuple[Any, ...] | None:
    return None if tensor is None else (tensor.dtype, tensor.shape, tensor.stride(), tensor.data_ptr() & 15 == 0)


def _bytes(size: int, device: torch.device) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _plan(launches: list[Launch], arguments: Arguments, losses: Losses, residuals: Residuals | None) -> Plan | None:
    """What to start another time; None where two arguments are the same memory, or one was copied for the kernels."""
    given = [(tensor, LOGITS + number) for number, tensor in enumerate(arguments) if tensor is not None]
    known = {tensor.data_ptr(): (base, 0) for tensor, base in given}
    if len(known) < len(given) or not all(tensor.is_contiguous() for tensor, _ in given if tensor.ndim == 1):
        return None
    known[losses.result.data_ptr()] = (RESULT, 0)
    layout = _layout(residuals)
    for tensor, field in zip(residuals or (), layout.fields, strict=True):
        if tensor is not None and field is not None and tensor.numel():
            assert tensor.is_contiguous()
            known[tensor.data_ptr()] = (RESIDUALS, field.offset)
    temporary = 0
    for launch in launches:
        for value in launch.args:
            if isinstance(value, torch.Tensor) and value.numel() and value.data_ptr() not in known:
                assert value.is_contiguous()
                known[value.data_ptr()] = (TEMPORARY, temporary)
                temporary += _aligned(value)
    launch_list = laid_out(launches, known)
    return None if launch_list is None else Plan(launch_list, losses.result.shape, temporary, layout, {})
