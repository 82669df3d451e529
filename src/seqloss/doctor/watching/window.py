"""The batches between two steps of an optimiser, and the gradient of their losses computed again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.snapshot import ModuleState, RandomState
from seqloss.doctor.subject import Loss, NotChecked, first_entry
from seqloss.doctor.watching.apart import apart, is_compiled, silence, world
from seqloss.doctor.watching.copies import copy_batch, on_copies
from seqloss.doctor.watching.outside import Outside

MOST = 16
"""Batches of a window whose gradient is computed again."""


@dataclass(eq=False)
class Part:
    """One call of the loss: the batch, and what the call depends on beside it.

    Attributes:
        loss: as given by the caller, called with copies.
        batch: a copy.
        state: of the model before the call: an evaluation can come between two of them.
        random: states before the call.
        autocast: (device, type) of mixed precision in the call.
        outside: variables of the loss before the call.
        sums: of the weights.
        seed: gradient of the loss that is differentiated with respect to this one; None before backward().
        backward: number of the call of the loss before backward(); the same for losses that are added up first.
    """

    loss: Loss
    batch: Any
    state: ModuleState
    random: RandomState
    autocast: tuple[tuple[str, torch.dtype], ...]
    outside: Outside
    sums: list[float]
    seed: Tensor | None = None
    backward: int = 0

    def again(self, model: nn.Module) -> Tensor:
        """The loss, in the same precision and with the same random numbers."""
        self.state.restore()
        silence(model)
        self.outside.restore()
        self.random.restore()
        with ExitStack() as stack:
            for kind, dtype in self.autocast:
                stack.enter_context(torch.autocast(kind, dtype))
            return first_entry(self.loss(model, self.batch))


class Window:
    """One step of the optimiser.

    Args:
        number: of the step, from 1.
        model: that is trained.
        whole: the module whose buffers and attributes the loss may change.
        is_looked_at: whether batches are kept.
    """

    def __init__(self, number: int, model: nn.Module, whole: nn.Module, is_looked_at: bool) -> None:
        self.number, self.model, self.whole, self.is_looked_at = number, model, whole, is_looked_at
        self.kept: list[Part] = []
        self.has_stepped = False

    @property
    def parts(self) -> list[Part]:
        """Calls whose gradient was taken; all if none was. An evaluation, or a batch that is left out, is none."""
        return [part for part in self.kept if part.seed is not None] or self.kept

    @property
    def batches(self) -> int:
        """Calls of backward(): losses of several calls that are added up before count once."""
        return len({part.backward for part in self.parts}) if self.parts[0].seed is not None else len(self.parts)

    @property
    def seed(self) -> float:
        """Largest gradient of what is differentiated with respect to a loss: below 1 if it is divided; 0 if unknown."""
        return max((float(part.seed) for part in self.parts if part.seed is not None), default=0.0)

    @property
    def is_even(self) -> bool:
        """Whether each call has a backward() of its own, and the same weight."""
        return self.batches == len(self.parts) and len(set(_seeds(self.parts))) == 1

    def add(self, loss: Loss, batch: Any, weights: Sequence[Tensor]) -> Part | None:
        """Keep what a call of the loss, about to happen, depends on; not more than can be used."""
        if len(self.kept) > MOST:
            return None
        state, random = ModuleState(self.whole), RandomState()
        part = Part(
            on_copies(loss), copy_batch(batch), state, random, _autocast(), Outside(loss), sums_of(weights)
        )  # fmt: skip
        self.kept.append(part)
        return part

    def leave_out(self, part: Part | None) -> None:
        """A call that returned no loss."""
        self.kept = [one for one in self.kept if one is not part]

    def gradients_again(self, weights: Sequence[Tensor], parts: Sequence[Part] | None = None) -> list[Tensor | None]:
        """The sum of the gradients of the window's losses, or of some; the model and all states stay as they are."""
        sums: list[Tensor | None] = [None] * len(weights)
        used = parts or self.parts
        if world() > 1 and is_compiled(self.whole):
            raise NotChecked("a compiled model is not run again in a training of several processes")
        with apart(self.whole, used[0].loss, eager=False), torch.enable_grad():
            places = [place for place, weight in enumerate(weights) if weight.requires_grad]
            for part, seed in zip(used, _seeds(used), strict=True):
                loss = part.again(self.model)
                for place, gradient in zip(places, _gradients(loss, [weights[n] for n in places]), strict=True):
                    sums[place] = _sum(sums[place], gradient, seed)
        return sums

    @property
    def is_half(self) -> bool:
        """Whether a loss is computed in float16, which needs a scaler that skips steps."""
        return any(dtype == torch.float16 for part in self.kept for _, dtype in part.autocast)

    def forget(self) -> None:
        """Let go of the batches."""
        self.kept = []


def sums_of(weights: Sequence[Tensor]) -> list[float]:
    """Tell whether weights were changed."""
    return torch.stack([weight.detach().double().sum().cpu() for weight in weights]).nan_to_num(nan=0.5).tolist()


def _gradients(loss: Tensor, weights: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if not loss.requires_grad:
        raise NotChecked("the loss depends on no weight that is trained")
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    if any(gradient is None for gradient in found) and _has_hidden_part(loss):
        raise NotChecked("checkpoint(..., use_reentrant=True) hides weights; use use_reentrant=False")
    return found


def _has_hidden_part(loss: Tensor) -> bool:
    """Whether the graph has a checkpoint whose weights are not in it."""
    seen, ahead = set(), [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            if node.name() == "CheckpointFunctionBackward":
                return True
            ahead += [one for one, _ in node.next_functions]
    return False


def _sum(held: Tensor | None, gradient: Tensor | None, seed: float) -> Tensor | None:
    if gradient is None:
        return held
    dense = (gradient.to_dense() if gradient.is_sparse else gradient) * seed
    return dense if held is None else held + dense


def _seeds(parts: Sequence[Part]) -> list[float]:
    """Weights of the losses relative to the largest: a factor of all is judged elsewhere."""
    seeds = [1.0 if part.seed is None else float(part.seed) for part in parts]
    largest = max(map(abs, seeds))
    return [seed / largest for seed in seeds] if largest > 0 and math.isfinite(sum(seeds)) else [1.0] * len(seeds)


def _autocast() -> tuple[tuple[str, torch.dtype], ...]:
    kinds = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return tuple((kind, torch.get_autocast_dtype(kind)) for kind in kinds if torch.is_autocast_enabled(kind))
