"""`CTCLoss` beside torch.nn.CTCLoss: 1,000 random valid calls, value and gradient.

Ours may be from torch's as far as torch's is from the exact answer, and by our own rounding more. Exact is the
reference in `np.longdouble`, which shares no code with either. Our own rounding, with u the unit roundoff, e =
exp(log_prob), γ the posterior, γ̂ = min(γ, 1 - γ), d the distance of a class in use from its frame's largest, and

    walk(n) = min(n, 4 √n) u        what a chain of n independent roundings adds up to, at seven standard deviations

is the error budget of `tests/contract/tolerances.py` for the posterior and the path sum, and what this module adds:

    reach     4 √(Σ_t max d²) 2^-53          scores less their frame's largest, rounded in float64
    loss      walk(4 (T + 2)) + reach        relative error of the path sum, absolute of its log; with u = 2^-53 where a
                                             loss is under 2^-6 a frame, because such a one is summed in float64
              + walk(T) Σ |largest| + 2 u |loss|        the frames' largest scores, in float64; two roundings at the end
    gradient  (walk(8 (T + 2)) + reach) γ̂    the posterior, relative to the smaller of itself and its complement
              + 6 u e, where γ < 0.51        NumPy's exp in float32: 2.52 units in the last place, each 2 u
              + 3 u |e - γ|                  their difference, upstream and the reduction's weight, rounded

              + own γ + 4 v (e + γ)      the yardstick's own, of unit roundoff v: own = 4 √(3 T) (|loss| + 1) v

Rows are then weighed and, in a reduced loss of N rows, added: N roundings of the sum of their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from seqloss import reference
from seqloss.torch import CTCLoss

YARDSTICK = float(np.finfo(np.longdouble).eps) / 2
CALLS = 125
SHAPES = [  # time, batch, classes, labels
    (1, 3, 4, 1),
    (6, 5, 2, 3),
    (12, 3, 5, 4),
    (9, 1, 6, 3),
    (30, 4, 8, 10),
    (20, 2, 40, 0),
    (40, 2, 64, 5),
    (60, 2, 4, 20),
]


@dataclass(frozen=True)
class Call:
    """What both are given; rows in the order of the batch."""

    log_probs: torch.Tensor  # (time, batch, classes)
    targets: torch.Tensor  # (batch, labels)
    frames: torch.Tensor
    labels: torch.Tensor
    feasible: np.ndarray
    options: dict[str, Any]
    form: str
    upstream: torch.Tensor

    def answer(self, kind: type[torch.nn.Module]) -> tuple[np.ndarray, np.ndarray]:
        """Loss and gradient of sum(upstream * loss)."""
        x = self.log_probs.clone().requires_grad_()
        lengths: list[Any] = [self.frames, self.labels]
        targets = self.targets
        if self.form == "concatenated":
            targets = torch.cat([row[:count] for row, count in zip(targets, self.labels, strict=True)])
            lengths = [tuple(length.tolist()) for length in lengths]
        elif self.form == "single":
            targets, lengths = targets[0, : self.labels[0]], [length[0] for length in lengths]
        loss = kind(**self.options)(x[:, 0] if self.form == "single" else x, targets, *lengths)
        loss.backward(self.upstream.reshape(loss.shape).to(loss))
        return loss.detach().double().numpy(), x.grad.double().numpy()

    @property
    def weights(self) -> np.ndarray:
        """Of each row in the loss, or in each loss of its own."""
        if self.options["reduction"] == "mean":
            return 1 / (np.maximum(self.labels.numpy(), 1) * len(self.labels))
        return np.ones(len(self.labels))


def drawn(time: int, batch: int, classes: int, labels: int, seed: int) -> Call:
    rng = np.random.default_rng([seed, time, classes])
    kind = rng.choice([torch.float32, torch.float64])
    blank = int(rng.integers(classes))
    targets = rng.integers(0, classes - 1, (batch, labels))
    targets = targets + (targets >= blank)
    counts = rng.integers(0, labels + 1, batch)
    zero_infinity = bool(rng.integers(2))
    for row in range(batch):
        while not zero_infinity and needed(targets[row], counts[row]) > time:
            counts[row] -= 1
    least = [0 if zero_infinity else needed(target, count) for target, count in zip(targets, counts, strict=True)]
    frames = rng.integers(least, time + 1)
    scores = rng.normal(size=(time, batch, classes)) * rng.choice([1.0, 3.0])
    style = rng.choice(["normalised", "sure", "unnormalised"])
    if style == "sure":
        scores[np.arange(time), :, rng.integers(0, classes, time)] += 15.0
    log_probs = torch.from_numpy(scores).to(kind)
    reduction = str(rng.choice(["none", "mean", "sum"]))
    forms = ["padded", "concatenated", *(["single"] if batch == 1 else [])]
    feasible = np.array([needed(t, c) <= f for t, c, f in zip(targets, counts, frames, strict=True)])
    return Call(
        log_probs if style == "unnormalised" else log_probs.log_softmax(2),
        torch.from_numpy(targets),
        torch.from_numpy(frames),
        torch.from_numpy(counts),
        feasible,
        {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity},
        str(rng.choice(forms)),
        torch.from_numpy(rng.uniform(0.5, 3.0, batch if reduction == "none" else 1) * rng.choice([-1, 1])),
    )


def needed(target: np.ndarray, count: int) -> int:
    used = target[:count]
    return int(count) + int((used[1:] == used[:-1]).sum())


def exact(call: Call) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Loss (batch,), gradient exp - γ, posterior γ, and exp (batch, time, classes), from the definition."""
    x = call.log_probs.transpose(0, 1).numpy().astype(np.longdouble)
    args = call.targets.numpy(), call.frames.numpy(), call.labels.numpy()
    loss, grad = reference.ctc_loss_and_grad(x, *args, blank=call.options["blank"])
    e = np.exp(x)
    total = e.sum(axis=2, keepdims=True)
    used = (np.arange(x.shape[1]) < args[1][:, None]) & call.feasible[:, None]  # (batch, time)
    loss = np.where(call.feasible, loss, 0) - np.where(used, np.log(total[:, :, 0]), 0).sum(axis=1)
    e, grad, softmax = (np.where(used[:, :, None], values, 0) for values in (e, grad, e / total))
    return loss, (e - softmax) + grad, softmax - grad, e


def roundings(n: Any, u: float) -> Any:
    return np.minimum(n, 4 * np.sqrt(n)) * u


def own_rounding(call: Call, loss: np.ndarray, grad: np.ndarray, posterior: np.ndarray, e: np.ndarray) -> Any:
    """The budget above for each row's loss and each entry of its gradient."""
    u = 2.0**-24 if call.log_probs.dtype == torch.float32 else 2.0**-53
    frames = call.frames.numpy()
    reach, largest = np.zeros(len(frames)), np.zeros(len(frames))
    for row, count in enumerate(call.labels):
        classes = [call.options["blank"], *call.targets[row, :count].tolist()]
        scores = call.log_probs[: frames[row], row, classes].double().numpy()
        reach[row] = 4 * np.sqrt((np.ptp(scores, axis=1) ** 2).sum()) * 2.0**-53
        largest[row] = np.abs(scores.max(axis=1)).sum()
    sums = np.where(np.abs(loss) < 2.0**-6 * frames, 2.0**-53, u)
    loss_bound = roundings(4 * (frames + 2), sums) + reach + roundings(frames, 2.0**-53) * largest + 2 * u * abs(loss)
    rho = (roundings(8 * (frames + 2), u) + reach)[:, None, None]
    complement = np.minimum(posterior, 1 - posterior)
    grad_bound = rho * complement + 6 * u * np.where(posterior < 0.51, e, 0) + 3 * u * np.abs(grad)
    own = (4 * np.sqrt(3 * frames) * (np.abs(loss) + 1) * YARDSTICK)[:, None, None]
    grad_bound += own * posterior + 4 * YARDSTICK * (e + posterior)
    return np.where(call.feasible, loss_bound, 0), np.where(call.feasible[:, None, None], grad_bound, 0), u


def expected(call: Call) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a call should give, and how far from it our rounding may be: loss, its bound, gradient, its bound."""
    loss, grad, posterior, e = exact(call)
    loss_bound, grad_bound, u = own_rounding(call, loss, grad, posterior, e)
    upstream = call.upstream.numpy() * call.weights  # (batch,)
    scale = upstream[:, None, None]
    grad, grad_bound = (scale * grad).transpose(1, 0, 2), (np.abs(scale) * grad_bound).transpose(1, 0, 2)
    if call.options["reduction"] == "none":
        return loss, loss_bound, grad, grad_bound
    sizes = (call.weights * np.abs(loss)).sum()
    loss_bound = (call.weights * loss_bound).sum() + len(loss) * u * sizes
    return (call.weights * loss).sum(), loss_bound, grad, grad_bound


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_gradient_are_torchs_up_to_its_own_distance_from_the_exact_ones(shape: tuple[int, ...]) -> None:
    for seed in range(CALLS):
        call = drawn(*shape, seed)
        loss, loss_bound, grad, grad_bound = expected(call)
        ours, peer = call.answer(CTCLoss), call.answer(torch.nn.CTCLoss)
        for name, found, theirs, right, bound in zip(
            ("loss", "gradient"), ours, peer, (loss, grad), (loss_bound, grad_bound), strict=True
        ):
            right, bound = np.reshape(right, found.shape), np.reshape(bound, found.shape)
            excess = np.abs(found - theirs) - np.abs(theirs - right)
            assert (excess <= bound).all(), f"{name} of call {seed}, {call.options}: {(excess - bound).max()} too far"


def test_the_calls_are_of_every_kind() -> None:
    calls = [drawn(*shape, seed) for shape in SHAPES for seed in range(CALLS)]
    assert len(calls) == 1000
    kinds = {(call.form, call.options["reduction"], call.log_probs.dtype) for call in calls}
    assert len(kinds) == 3 * 3 * 2
    rows = np.concatenate([call.feasible for call in calls])
    assert 0.05 < 1 - rows.mean() < 0.5
    sums = torch.cat([call.log_probs.exp().sum(2).flatten() for call in calls])
    assert 0.2 < ((sums - 1).abs() > 0.01).double().mean() < 0.5
    assert all(call.feasible.all() or call.options["zero_infinity"] for call in calls)
