"""CUDA replay: a call with a known input signature launches the recorded kernels on new memory.

The signature of a call is the types, shapes and strides of its arguments, and whether addresses are multiples of 16
bytes. It determines which kernels are launched, on how many programs and with which numbers. Determining that in Python
takes longer than a small batch takes on the device. So the launches of the second call with a signature are recorded.
From the third call on, a call allocates two pieces of memory, for the residuals and for temporary results, and launches
all kernels at once with addresses in them (`launch_list.py`). SEQLOSS_CUDA_REPLAY=0 turns this off.

Tensors that are passed to kernels must be the arguments, or memory that only the kernels have written.
"""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import Any, NamedTuple

import torch

from seqloss.kernels.triton.ctc import pipeline
from seqloss.kernels.triton.ctc.loss import Losses
from seqloss.kernels.triton.ctc.residuals import Residuals
from seqloss.kernels.triton.launch import Launch, on_device, record_launches
from seqloss.kernels.triton.launch_list import LaunchList, lay_out_launches
from seqloss.kernels.triton.tiles import is_interpreted

MOST_SIGNATURES = 512
"""The most signatures that are stored; then all are forgotten. Also the most signatures of backward calls per plan."""
ALIGNMENT = 256
"""Bytes; the alignment of CUDA allocations."""
TEMPORARY, RESIDUALS, RESULT, LOGITS, TARGETS, LOGIT_LENGTHS, TARGET_LENGTHS, LABEL_COUNTS, UPSTREAM, GRADIENT = range(
    10
)
"""Numbers of the base addresses of a call, see `launch_list.Base`."""


class Field(NamedTuple):
    """The place of a tensor in the memory of the residuals."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype


class Layout(NamedTuple):
    """The places of the tensors of `residuals.Residuals`, None for absent ones, and the size in bytes."""

    fields: tuple[Field | None, ...]
    size: int


class Plan(NamedTuple):
    """A recorded call.

    Attributes:
        launch_list: its launches; shape: of its result; temporary: bytes of temporary memory; layout: of the residuals.
        backward: the launches of backward calls by their signature, None for those that cannot be replayed.
    """

    launch_list: LaunchList
    shape: torch.Size
    temporary: int
    layout: Layout
    backward: dict[tuple[Any, ...], LaunchList | None]


Arguments = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
"""Logits, targets, both lengths, and the label counts of a reduction, see `pipeline.forward`."""


class Unplanned(Enum):
    """Why a signature has no plan: only one call so far, or the call cannot be replayed."""

    SEEN = auto()
    CANNOT = auto()


_plans: dict[tuple[Any, ...], Plan | Unplanned] = {}
"""Plans by signature."""


class Forward(NamedTuple):
    """The losses (batch,) or the reduced loss, and for `backward` the residuals in one piece of memory.

    It is one piece for a replayed call and for any other: what autograd saves must not depend on earlier calls, because
    a checkpoint compares what its two runs save, and the second run may be a replay.
    """

    result: torch.Tensor
    residuals: torch.Tensor | None
    layout: Layout | None
    plan: Plan | None


def replay_enabled() -> bool:
    """Whether calls may be replayed: the environment's SEQLOSS_CUDA_REPLAY is not 0."""
    return os.environ.get("SEQLOSS_CUDA_REPLAY", "1") != "0"


def forward(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, label_counts: torch.Tensor | None = None, **options: Any,
) -> Forward:  # fmt: skip
    """As `pipeline.forward`."""
    arguments: Arguments = (logits, targets, logit_lengths, target_lengths, label_counts)
    if is_interpreted(logits.device) or not replay_enabled():
        return _pack_result(*pipeline.forward(*arguments, **options))
    signature = (logits.device, *map(_signature_of, arguments), *options.values())
    plan = _plans.get(signature)
    if plan is Unplanned.SEEN:
        with on_device(logits.device):
            with record_launches() as launches:
                losses, residuals = pipeline.forward(*arguments, **options)
            _plans[signature] = _make_plan(launches, arguments, losses, residuals) or Unplanned.CANNOT
            return _pack_result(losses, residuals)
    if not isinstance(plan, Plan):
        if plan is None:
            if len(_plans) >= MOST_SIGNATURES:
                _plans.clear()
            _plans[signature] = Unplanned.SEEN
        return _pack_result(*pipeline.forward(*arguments, **options))
    with on_device(logits.device):
        result = torch.empty(plan.shape, dtype=torch.float32, device=logits.device)
        memory = _allocate_bytes(plan.layout.size, logits.device)
        temporary = _allocate_bytes(plan.temporary, logits.device)
        given = (0 if tensor is None else tensor.data_ptr() for tensor in (temporary, memory, result, *arguments))
        plan.launch_list.launch_all((*given, 0, 0), logits.device.index)
    return Forward(result, memory, plan.layout, plan)


def backward(
    logits: torch.Tensor, residuals: torch.Tensor, layout: Layout, plan: Plan | None, upstream: torch.Tensor, *, blank:
    int,
    mode: int,
) -> torch.Tensor:  # fmt: skip
    """As `pipeline.backward`, from the result of `forward`."""
    residuals = _in_one_piece(residuals)

    def compute_without_replay() -> torch.Tensor:
        return pipeline.backward(logits, unpack_residuals(residuals, layout), upstream, blank=blank, mode=mode)

    if plan is None:
        return compute_without_replay()
    signature = (logits.device, _signature_of(logits), _signature_of(residuals), _signature_of(upstream), mode)
    if signature not in plan.backward:
        if len(plan.backward) >= MOST_SIGNATURES:
            return compute_without_replay()
        with on_device(logits.device), record_launches() as launches:
            gradient = compute_without_replay()
            given = {LOGITS: logits, UPSTREAM: upstream, GRADIENT: gradient}
            known = {residuals.data_ptr() + field.offset: (RESIDUALS, field.offset) for field in layout.fields if field}
            others = {tensor.data_ptr(): (base, 0) for base, tensor in given.items()}
            if len(others) == len(given) and not others.keys() & known.keys():
                plan.backward[signature] = lay_out_launches(launches, known | others)
        return gradient
    launch_list = plan.backward[signature]
    if launch_list is None:
        return compute_without_replay()
    with on_device(logits.device):
        gradient = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
        bases = (0, residuals.data_ptr(), 0, logits.data_ptr(), 0, 0, 0, 0, upstream.data_ptr(), gradient.data_ptr())
        launch_list.launch_all(bases, logits.device.index)
    return gradient


def unpack_residuals(residuals: torch.Tensor, layout: Layout) -> Residuals:
    """The residuals as separate tensors, views of the one piece of memory."""
    whole = _in_one_piece(residuals)
    tensors: list[Any] = [field and _view_field(whole, *field) for field in layout.fields]
    return Residuals(*tensors)


def _in_one_piece(residuals: torch.Tensor) -> torch.Tensor:
    """The residuals in one aligned piece: a hook for saved tensors may have restored them in another layout."""
    in_place = residuals.is_contiguous() and not (residuals.storage_offset() | residuals.data_ptr()) & 7
    return residuals if in_place else residuals.clone(memory_format=torch.contiguous_format)


def _view_field(memory: torch.Tensor, offset: int, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    return memory[offset : offset + shape.numel() * dtype.itemsize].view(dtype).view(shape)


def _pack_result(losses: Losses, residuals: Residuals | None) -> Forward:
    """The result of a call that was not replayed, in the same form as a replayed one's."""
    if residuals is None:
        return Forward(losses.result, None, None, None)
    layout = _lay_out_residuals(residuals)
    memory = _allocate_bytes(layout.size, losses.result.device)
    for tensor, field in zip(residuals, layout.fields, strict=True):
        if tensor is not None and field is not None:
            _view_field(memory, *field).copy_(tensor)
    return Forward(losses.result, memory, layout, None)


def _lay_out_residuals(residuals: Residuals | None) -> Layout:
    fields: list[Field | None] = []
    size = 0
    for tensor in residuals or ():
        fields.append(None if tensor is None else Field(size, tensor.shape, tensor.dtype))
        size += 0 if tensor is None else _aligned_bytes(tensor)
    return Layout(tuple(fields), size)


def _aligned_bytes(tensor: torch.Tensor) -> int:
    """A tensor's bytes, rounded up to the alignment of the next one."""
    return -(-tensor.numel() * tensor.itemsize // ALIGNMENT) * ALIGNMENT


def _signature_of(tensor: torch.Tensor | None) -> tuple[Any, ...] | None:
    return None if tensor is None else (tensor.dtype, tensor.shape, tensor.stride(), tensor.data_ptr() & 15 == 0)


def _allocate_bytes(size: int, device: torch.device) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _make_plan(
    launches: list[Launch], arguments: Arguments, losses: Losses, residuals: Residuals | None
) -> Plan | None:
    """A plan from recorded launches; None if two arguments share memory, or one was copied for the kernels."""
    given = [(tensor, LOGITS + number) for number, tensor in enumerate(arguments) if tensor is not None]
    known = {tensor.data_ptr(): (base, 0) for tensor, base in given}
    if len(known) < len(given) or not all(tensor.is_contiguous() for tensor, _ in given if tensor.ndim == 1):
        return None
    known[losses.result.data_ptr()] = (RESULT, 0)
    layout = _lay_out_residuals(residuals)
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
                temporary += _aligned_bytes(value)
    launch_list = lay_out_launches(launches, known)
    return None if launch_list is None else Plan(launch_list, losses.result.shape, temporary, layout, {})
