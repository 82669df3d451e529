"""A batch of eight rows with uneven frames and labels, which steps and ranks share unevenly, and a model for it."""

from __future__ import annotations

from typing import NamedTuple

import torch

from seqloss.torch import ctc_loss

FRAMES, LABELS = torch.tensor([12, 9, 12, 5, 10, 7, 11, 6]), torch.tensor([5, 1, 4, 0, 3, 2, 5, 1])
TOTALS = {"batch": len(LABELS), "labels": int(LABELS.sum())}
"""What one big batch divides the sum of its losses by, for each reduction."""

STEPS = [slice(0, 3), slice(3, 4), slice(4, 8)]
RANKS = [[slice(0, 3), slice(3, 4)], [slice(4, 8), slice(8, 8)]]
"""The two steps of each of two ranks; the last has no rows."""


class Rows(NamedTuple):
    features: torch.Tensor
    targets: torch.Tensor
    frames: torch.Tensor
    labels: torch.Tensor


def rows(part: slice = slice(None)) -> Rows:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 12, 4, generator=generator, dtype=torch.float64)
    targets = torch.randint(1, 6, (8, 5), generator=generator)
    return Rows(features[part], targets[part], FRAMES[part], LABELS[part])


def new_model() -> torch.nn.Sequential:
    """A model whose weights are the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 6)).double()


def reduced_loss(model: torch.nn.Module, batch: Rows, reduction: str, denominator: float | None = None) -> torch.Tensor:
    # a row whose labels repeat too often has no path: it counts as a row and adds nothing
    scores = model(batch.features)
    return ctc_loss(scores, *batch[1:], reduction=reduction, denominator=denominator, infeasible="zero")


def gradient_of(model: torch.nn.Module) -> torch.Tensor:
    """The gradients of all parameters in one vector; those of all shards, where each rank has one."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([(g.full_tensor() if hasattr(g, "full_tensor") else g).flatten() for g in gradients])


def one_big_batch(reduction: str, part: slice = slice(None)) -> torch.Tensor:
    model = new_model()
    reduced_loss(model, rows(part), reduction).backward()
    return gradient_of(model)


def is_far(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two gradients differ by more than a tenth of their length, which no rounding explains."""
    return bool((found - expected).norm() > 0.1 * expected.norm())
