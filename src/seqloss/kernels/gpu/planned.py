"""A call of a form that was seen before: the same kernels, started on other memory.

Which kernels a call starts, on how many programs and with what numbers, follows from the form of its arguments alone:
types, shapes, strides, and whether 16 bytes divide an address. To find that out takes Python longer than the device
takes for a small batch. So what a form's second call starts is noted; from the third one on a call allocates twice, for
what it leaves for the gradient and for what it needs until then, and starts the kernels with addresses in there.

Tensors that kernels are given must be the arguments, or memory that no one but the kernels has written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from seqloss.kernels.gpu import ctc
from seqloss.kernels.gpu.gradient import Kept
from seqloss.kernels.gpu.launch import Launch, noting, on
from seqloss.kernels.gpu.tiles import interpreted

FORMS = 512
"""Of which it is known that they were seen; then all are forgotten."""
ALIGNMENT = 256
"""Bytes; what an allocator of CUDA's gives is aligned so."""
TEMPORARY, KEPT, LOSSES, LOGITS, TARGETS, LOGIT_LENGTHS, TARGET_LENGTHS, UPSTREAM, GRADIENT = range(9)
"""What an address is counted from."""


class Field(NamedTuple):
    """A tensor in the memory that is left for the gradient."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype


class Start(NamedTuple):
    """A kernel to start: `values` with the addresses put in, (place among them, counted from what, offset)."""

    run: Callable[..., Any]
    values: tuple[Any, ...]
    addresses: tuple[tuple[int, int, int], ...]


class Plan(NamedTuple):
    """What a call of a form starts, and bytes of both kinds of memory; of a gradient, by its own form, likewise."""

    starts: list[Start]
    temporary: int
    kept: int
    fields: tuple[Field, ...]
    backward: dict[tuple[Any, ...], list[Start]]


Arguments = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor | None]
"""Logits, targets, and both lengths."""

_plans: dict[tuple[Any, ...], Plan | None] = {}
"""By form; None for one that was seen once, or of which no plan can be made."""


class Forward(NamedTuple):
    """Losses, float32 (batch,), and for `backward` what is left: the tensors of `gradient.Kept`, or with a plan one."""

    losses: torch.Tensor
    saved: tuple[torch.Tensor, ...]
    plan: Plan | None


def forward(
    logits: torch.Tensor, targets: torch.Tensor, logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None, **options: Any,
) -> Forward:  # fmt: skip
    """As `ctc.forward`."""
    arguments: Arguments = (logits, targets, logit_lengths, target_lengths)
    if interpreted(logits.device):
        return _unplanned(arguments, options)
    form = (logits.device, *map(_form, arguments), *options.values())
    if form not in _plans:
        if len(_plans) >= FORMS:
            _plans.clear()
        _plans[form] = None
        return _unplanned(arguments, options)
    plan = _plans[form]
    if plan is None:
        with noting() as launches:
            found = _unplanned(arguments, options)
        _plans[form] = _plan(launches, arguments, found)
        return found
    with on(logits.device):
        losses = torch.empty(logits.shape[0], dtype=torch.float32, device=logits.device)
        kept = _bytes(plan.kept, logits.device)
        temporary = _bytes(plan.temporary, logits.device)
        _start(
            plan.starts,
            [0 if tensor is None else tensor.data_ptr() for tensor in (temporary, kept, losses, *arguments)],
        )
    return Forward(losses, (kept,) if plan.fields else (), plan)


def backward(
    logits: torch.Tensor, found: Sequence[torch.Tensor], plan: Plan | None, upstream: torch.Tensor, *, blank: int,
    mode: int, dtype: torch.dtype | None = None,
) -> torch.Tensor:  # fmt: skip
    """As `ctc.backward`, of what `forward` has saved."""

    def ordinary() -> torch.Tensor:
        return ctc.backward(logits, unpacked(found, plan), upstream, blank=blank, mode=mode, dtype=dtype)

    if plan is None:
        return ordinary()
    form = (_form(logits), _form(found[0]), _form(upstream), mode, dtype)  # a hook may have saved what it liked
    starts = plan.backward.get(form)
    if starts is None:
        with noting() as launches:
            gradient = ordinary()
        first = found[0].data_ptr()
        known = {first + field.offset: (KEPT, field.offset) for field in plan.fields}
        for tensor, base in ((logits, LOGITS), (upstream, UPSTREAM), (gradient, GRADIENT)):
            known[tensor.data_ptr()] = (base, 0)
        plan.backward[form] = [_planned(launch, known) for launch in launches]
        return gradient
    with on(logits.device):
        gradient = torch.empty(logits.shape, dtype=dtype or logits.dtype, device=logits.device)
        bases = [0, found[0].data_ptr(), 0, logits.data_ptr(), 0, 0, 0, upstream.data_ptr(), gradient.data_ptr()]
        _start(starts, bases)
    return gradient


def unpacked(found: Sequence[torch.Tensor], plan: Plan | None) -> Kept:
    """What `forward` has saved as the tensors that it stands for."""
    if plan is None:
        return Kept(*found)
    (memory,) = found
    return Kept(
        *(
            memory[offset : offset + shape.numel() * dtype.itemsize].view(dtype).view(shape)
            for offset, shape, dtype in plan.fields
        )
    )


def _unplanned(arguments: Arguments, options: dict[str, Any]) -> Forward:
    losses, kept = ctc.forward(*arguments, **options)
    return Forward(losses.losses, tuple(kept or ()), None)


def _form(tensor: torch.Tensor | None) -> tuple[Any, ...] | None:
    return None if tensor is None else (tensor.dtype, tensor.shape, tensor.stride(), tensor.data_ptr() & 15 == 0)


def _bytes(size: int, device: torch.device) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8, device=device)


def _start(starts: list[Start], bases: list[int]) -> None:
    for run, values, addresses in starts:
        own = list(values)
        for place, base, offset in addresses:
            own[place] = bases[base] + offset
        run(*own)


def _plan(launches: list[Launch], arguments: Arguments, found: Forward) -> Plan | None:
    """What to start another time; None where two arguments are the same memory, or one was copied for the kernels."""
    given = [(tensor, LOGITS + number) for number, tensor in enumerate(arguments) if tensor is not None]
    known = {tensor.data_ptr(): (base, 0) for tensor, base in given}
    if len(known) < len(given) or not all(tensor.is_contiguous() for tensor, _ in given if tensor.ndim == 1):
        return None
    known[found.losses.data_ptr()] = (LOSSES, 0)
    sizes = {TEMPORARY: 0, KEPT: 0}

    def place(tensor: torch.Tensor, base: int) -> int:
        assert tensor.is_contiguous()
        at = tensor.data_ptr()
        if at not in known:
            known[at] = (base, sizes[base])
            sizes[base] += -(-tensor.numel() * tensor.itemsize // ALIGNMENT) * ALIGNMENT
        return known[at][1]

    fields = tuple(Field(place(tensor, KEPT), tensor.shape, tensor.dtype) for tensor in found.saved)
    for launch in launches:
        for value in launch.args:
            if isinstance(value, torch.Tensor) and value.data_ptr() not in known:
                place(value, TEMPORARY)
    starts = [_planned(launch, known) for launch in launches]
    return Plan(starts, sizes[TEMPORARY], sizes[KEPT], fields, {})


def _planned(launch: Launch, known: dict[int, tuple[int, int]]) -> Start:
    addresses = tuple(
        (place, *known[value.data_ptr()])
        for place, value in enumerate(launch.args)
        if isinstance(value, torch.Tensor) and value.numel()
    )
    values = tuple(0 if isinstance(value, torch.Tensor) else value for value in launch.args)
    return Start(launch.kernel[(launch.programs, 1, 1)], (*values, *launch.constants), addresses)
