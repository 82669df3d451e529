"""Whether the gradient that reaches a step is that of the losses since the last one, computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked
from seqloss.doctor.watching.accumulation import adds_up
from seqloss.doctor.watching.apart import world
from seqloss.doctor.watching.calls import SCALE
from seqloss.doctor.watching.combination import residual
from seqloss.doctor.watching.lost import Lost, not_zeroed
from seqloss.doctor.watching.ranks import Ranks
from seqloss.doctor.watching.window import MOST, Window, sums_of

ROUNDING = 2e-3
"""Relative to the norm: the same operations are done in the same order, but some devices add in any order."""

HALF_ROUNDING = 5e-2

FACTOR = 1e-2
"""How far a factor between two gradients may be from 1."""

SHRUNK = 1e-2
"""A clipped norm below this, with a loss that was scaled by more than its inverse, was clipped before unscaling."""

NAMES = {
    "gradient-missing", "gradients-not-zeroed", "accumulation-not-averaged", "accumulated-gradients-lost",
    "gradient-scaled", "clipped-before-unscaling", "gradient-differs",
}  # fmt: skip
"""Of the findings; after one of them, later gradients are not judged."""

CODE = """\
optimizer.zero_grad()
loss(model, batch).backward()
wanted = [weight.grad.clone() for weight in model.parameters()]
# compare with weight.grad just before optimizer.step() in the training
"""


@dataclass
class Step:
    """What is known of one step of the optimiser before it is done.

    Attributes:
        window: the batches since the last one.
        names: of the weights.
        weights: that the optimiser holds.
        handed: the gradient that the optimiser is given for each of them; None for none.
        previous: the same of the step before, if that was looked at.
        scale: of the loss in mixed precision.
        adds_losses: whether the losses of several batches add up to that of one big batch.
        ranks: compares the processes of a training.
        lost: follows gradients that have no effect.
    """

    window: Window
    names: Sequence[str]
    weights: Sequence[Tensor]
    handed: Sequence[Tensor | None]
    previous: Sequence[Tensor | None] | None = None
    scale: float = 1.0
    adds_losses: bool = False
    ranks: Ranks | None = None
    lost: Lost = field(default_factory=Lost)


def check(step: Step) -> Iterator[Finding]:
    if not 0 < len(step.window.parts) <= MOST:
        return
    now = sums_of(list(step.window.model.parameters()))
    if any(part.sums != now for part in step.window.kept):
        raise NotChecked("the weights are changed between the loss and the step")
    again = step.window.gradients_again(step.weights)
    wanted, handed = _flat(again, step.weights), _flat(step.handed, step.weights)
    if not (wanted.isfinite().all() and handed.isfinite().all()) or not wanted.any():
        return
    if world() > 1 and step.ranks is not None and handed.any():
        step.ranks.publish(step.window.number, wanted, handed)
        return  # the gradient of this process alone says nothing
    evidence = {"step": step.window.number, "batches": step.window.batches}
    if not handed.any():
        yield Finding(
            "gradient-missing", "error", evidence,
            "the optimiser steps with a gradient of 0 or none, although the loss has one: backward() is not called, or "
            "zero_grad() is called between backward() and step()",
            "The order of a step is zero_grad(), loss, backward(), step()", CODE,
        )  # fmt: skip
        return
    rounding = _rounding(step)
    if residual(handed, wanted) <= rounding:
        yield from _check_factor(step, float(handed @ wanted / (wanted @ wanted)), float(handed.norm()), evidence)
    elif not _is_clipped_by_value(handed, wanted) and not _has_decay(step, handed, wanted, rounding):
        yield from _check_difference(step, again, handed, wanted, evidence)


def _rounding(step: Step) -> float:
    are_single = all(weight.dtype in (torch.float32, torch.float64) for weight in step.weights)
    return ROUNDING if are_single and not any(part.autocast for part in step.window.parts) else HALF_ROUNDING


def _has_decay(step: Step, handed: Tensor, wanted: Tensor, rounding: float) -> bool:
    """Whether weight decay was added to the gradient."""
    return residual(handed, wanted, _flat(step.weights, step.weights)) <= rounding


def _check_difference(
    step: Step, again: Sequence[Tensor | None], handed: Tensor, wanted: Tensor, evidence: Mapping[str, object]
) -> Iterator[Finding]:
    """The gradient is no multiple of that of the losses: is it of other batches?"""
    rounding = _rounding(step)
    if step.previous is not None and residual(handed, wanted, _flat(step.previous, step.weights)) <= rounding:
        yield not_zeroed(evidence)
        return
    if len(step.window.parts) > 1:
        last = _flat(step.window.gradients_again(step.weights, step.window.parts[-1:]), step.weights)
        if residual(handed, last) <= rounding:
            if step.scale == 1:  # otherwise, steps are skipped
                step.lost.batches = len(step.window.parts) - 1
            return
    yield from _check_weights(step, again, rounding, evidence)


def _check_factor(step: Step, factor: float, norm: float, evidence: Mapping[str, object]) -> Iterator[Finding]:
    batches = step.window.batches
    if batches > 1 and not _is_divided(step, factor) and not step.adds_losses and not adds_up(step.window):
        yield Finding(
            "accumulation-not-averaged", "warning", evidence,
            "the gradients of several batches are added and not averaged: the step is as many times as large, and "
            "clipping comes earlier",
            "Divide each loss by the number of batches before backward(); if the loss is a sum over rows, that is "
            "meant",
            CODE,
        )  # fmt: skip
    elif factor > 1 + FACTOR and batches == 1:
        yield Finding(
            "gradient-scaled", "error", {**evidence, "factor": factor},
            "the optimiser is given a multiple of the loss's gradient: a scaled loss was not unscaled",
            "Step with scaler.step(optimizer), or divide by the scale", CODE,
        )  # fmt: skip
    elif step.scale * SHRUNK > 1 and norm < SHRUNK and factor < SHRUNK:
        yield Finding(
            "clipped-before-unscaling", "error",
            {**evidence, "norm": norm, "norm of the loss's gradient": norm / factor, "scale": step.scale},
            "the gradient was clipped while it was still scaled: after unscaling, almost nothing is left",
            "Call scaler.unscale_(optimizer) before clip_grad_norm_", CODE,
        )  # fmt: skip


def _is_divided(step: Step, factor: float) -> bool:
    """Whether losses are divided by the number of batches.

    The gradient of what is differentiated with respect to a loss says so behind clipping, too, which hides the factor
    of the gradient. With a scaler that is not known, it says nothing.
    """
    seed = step.window.seed / step.scale
    return seed < 1 - FACTOR if 0 < seed < SCALE else factor * step.window.batches < 1 + FACTOR


def _check_weights(
    step: Step, again: Sequence[Tensor | None], rounding: float, evidence: Mapping[str, object]
) -> Iterator[Finding]:
    """Of which weights the gradient is another one, up to a factor: layers can be clipped one by one."""
    pairs = [(name, *_both(handed, wanted)) for name, handed, wanted in zip(step.names, step.handed, again, strict=True)
             if handed is not None or wanted is not None]  # fmt: skip
    lost = [name for name, handed, wanted in pairs if wanted.any() and not handed.any()]
    other = [name for name, handed, wanted in pairs if handed.any() and residual(handed, wanted) > rounding]
    if not lost and not other:
        return
    repeated = _flat(step.window.gradients_again(step.weights), step.weights)
    if residual(repeated, _flat(again, step.weights)) > 0.1 * rounding:
        return  # the loss draws random numbers of its own, and cannot be computed again
    if lost and not other:
        yield Finding(
            "gradient-missing", "error", {**evidence, "weights": lost},
            "these weights have a gradient in the loss, and none when the optimiser steps: another tensor than the "
            "loss was differentiated, or their gradient was removed",
            "Call backward() on the whole loss, and set gradients to None only before it", CODE,
        )  # fmt: skip
    else:
        handed, wanted = _flat(step.handed, step.weights), _flat(again, step.weights)
        cosine = float(handed @ wanted / (handed.norm() * wanted.norm()))
        yield Finding(
            "gradient-differs", "warning", {**evidence, "cosine": cosine, "weights": other},
            "the optimiser is given another gradient than that of the loss: another term is differentiated too, "
            "batches are missing, gradients are changed by hooks, or they are left from an earlier step",
            "Give the whole loss to step(loss, batch), once for each backward(); check zero_grad()", CODE,
        )  # fmt: skip


def _both(handed: Tensor | None, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
    one = handed if handed is not None else torch.zeros_like(wanted)  # type: ignore[arg-type]
    other = wanted if wanted is not None else torch.zeros_like(one)
    return _dense(one).flatten().double(), _dense(other).flatten().double()


def _flat(tensors: Sequence[Tensor | None], weights: Sequence[Tensor]) -> Tensor:
    """All in one vector."""
    parts = [torch.zeros_like(weight) if tensor is None else _dense(tensor.detach())
             for tensor, weight in zip(tensors, weights, strict=True)]  # fmt: skip
    return torch.cat([part.detach().flatten().float() for part in parts]).double()


def _dense(tensor: Tensor) -> Tensor:
    return tensor.to_dense() if tensor.is_sparse else tensor


def _is_clipped_by_value(handed: Tensor, wanted: Tensor) -> bool:
    largest = handed.abs().max()
    return bool(torch.allclose(handed, wanted.clamp(-largest, largest), rtol=ROUNDING, atol=float(ROUNDING * largest)))
