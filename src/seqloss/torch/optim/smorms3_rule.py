"""One step of SMORMS3, for each tensor or for lists of them: `SMORMS3` has the formula."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from seqloss.torch._compat import foreach

KEYS = ("average", "average_square", "memory")
"""The state of a weight: g, g2 and mem of the paper."""

Weight = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""A parameter, its gradient in the type of its state, and its state."""


def real_parts(param: Tensor, state: dict[str, Tensor]) -> Weight:
    """What a step reads and writes; complex tensors as real ones, of twice the size."""
    average, square, memory = (state[key] for key in KEYS)
    assert param.grad is not None
    tensors = (param, param.grad.to(average.dtype), average, square, memory)
    return tuple(map(torch.view_as_real, tensors)) if param.is_complex() else tensors  # type: ignore[return-value]


def step_each(
    params: Sequence[Tensor],
    states: Sequence[dict[str, Tensor]],
    lr: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """Update one tensor after the other."""
    for param, grad, average, square, memory in map(real_parts, params, states):
        if maximize:
            grad = -grad
        rate = (memory + 1).reciprocal_()
        average.lerp_(grad, rate)
        square.lerp_(grad * grad, rate)
        agreement = (average * average).div_(square + eps)  # x, 0 to 1
        memory.addcmul_(memory, agreement, value=-1).add_(1)
        change = agreement.clamp_(max=lr).mul_(grad).div_(square.sqrt().add_(eps))
        if weight_decay:
            change.add_(param, alpha=lr * weight_decay)
        param.sub_(change)  # a half type is rounded once, here


def step_together(
    params: Sequence[Tensor],
    states: Sequence[dict[str, Tensor]],
    lr: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """The same in a few launches for all tensors of one device and type."""
    alike = defaultdict(list)
    for weight in map(real_parts, params, states):
        alike[weight[0].device, weight[0].dtype].append(weight)
    for weights in alike.values():
        each, grads, averages, squares, memories = map(list, zip(*weights, strict=True))
        if maximize:
            grads = foreach("neg")(grads)
        rates = foreach("add")(memories, 1)
        foreach("reciprocal_")(rates)
        foreach("lerp_")(averages, grads, rates)
        foreach("lerp_")(squares, foreach("mul")(grads, grads), rates)
        changes = foreach("mul")(averages, averages)
        foreach("div_")(changes, foreach("add")(squares, eps))
        foreach("addcmul_")(memories, memories, changes, value=-1)
        foreach("add_")(memories, 1)
        foreach("clamp_max_")(changes, lr)
        foreach("mul_")(changes, grads)
        roots = foreach("sqrt")(squares)
        foreach("add_")(roots, eps)
        foreach("div_")(changes, roots)
        if weight_decay:
            foreach("add_")(changes, each, alpha=lr * weight_decay)
        foreach("sub_")(each, changes)
