"""torch.func: each transform gives what the plain call gives."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.func import grad, jacfwd, jacrev, jvp, vjp, vmap

from seqloss.errors import LabelError, LengthError, ShapeError
from seqloss.torch import CTCLoss, ctc_loss, from_loss_and_grad

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
COUNTS = LABELS.numpy()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
KIND = torch.float32 if INTERPRETED else torch.float64
Loss = Callable[[torch.Tensor], torch.Tensor]
LOSSES: dict[str, Loss] = {
    "ctc_loss": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS),
    "labels": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="labels"),
    "lists": lambda x: ctc_loss(x, TARGETS.tolist(), FRAMES.tolist(), COUNTS, reduction="mean"),
    "concatenated": lambda x: ctc_loss(x, torch.tensor([1, 2, 2, 3, 1]), FRAMES, LABELS),
    "CTCLoss": lambda x: CTCLoss()(x.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
}


def scores(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 7, 4))).to(KIND)


def gradient_of(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(loss(x).sum(), x)[0]


@pytest.mark.parametrize("name", LOSSES)
def test_grad_and_vjp_and_jacrev_give_the_gradient(name: str) -> None:
    loss, x = LOSSES[name], scores()
    expected = gradient_of(loss, x)
    value, pull = vjp(lambda x: loss(x).sum(), x)
    torch.testing.assert_close(value, loss(x).sum())
    torch.testing.assert_close(pull(torch.ones_like(value))[0], expected)
    torch.testing.assert_close(grad(lambda x: loss(x).sum())(x), expected)
    torch.testing.assert_close(jacrev(lambda x: loss(x).sum())(x), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_jvp_and_jacfwd_give_the_gradient_in_a_direction(name: str) -> None:
    loss, x, direction = LOSSES[name], scores(), scores(1)
    expected = gradient_of(loss, x)
    value, change = jvp(lambda x: loss(x).sum(), (x,), (direction,))
    torch.testing.assert_close(value, loss(x).sum())
    torch.testing.assert_close(change, (expected * direction).sum())
    torch.testing.assert_close(jacfwd(lambda x: loss(x).sum())(x), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_vmap_over_batches_is_the_loop_over_them(name: str) -> None:
    loss = LOSSES[name]
    many = torch.stack([scores(seed) for seed in range(3)])
    torch.testing.assert_close(vmap(loss)(many), torch.stack([loss(x) for x in many]))
    expected = torch.stack([gradient_of(loss, x) for x in many])
    torch.testing.assert_close(vmap(grad(lambda x: loss(x).sum()))(many), expected)
    torch.testing.assert_close(vmap(loss, in_dims=2)(many.movedim(0, 2)), torch.stack([loss(x) for x in many]))
    nested = vmap(vmap(loss))(torch.stack([many, many.flip(0)]))
    torch.testing.assert_close(nested[1], nested[0].flip(0))


def test_gradients_of_single_samples_with_lengths_as_tensors() -> None:
    def loss(x: torch.Tensor, target: torch.Tensor, frames: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x[None], target[None], frames[None], labels[None], reduction="mean")

    x = scores().requires_grad_()
    ctc_loss(x, TARGETS, FRAMES, LABELS).backward(1 / LABELS.to(KIND))
    torch.testing.assert_close(vmap(grad(loss))(scores(), TARGETS, FRAMES, LABELS), x.grad)


def test_vmap_over_targets_alone_gives_each_its_loss() -> None:
    many = torch.stack([TARGETS, TARGETS.flip(1).clamp(min=1)])
    found = vmap(lambda targets: ctc_loss(scores(), targets, FRAMES, LABELS))(many)
    torch.testing.assert_close(found, torch.stack([ctc_loss(scores(), targets, FRAMES, LABELS) for targets in many]))


@pytest.mark.parametrize("reduction", ["sum", "mean", "batch", "labels"])
def test_each_batch_under_vmap_is_reduced_by_its_own_lengths(reduction: str) -> None:
    lengths = torch.stack([LABELS, torch.tensor([1, 0])])
    many = torch.stack([scores(), scores(1)])

    def loss(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return ctc_loss(x, TARGETS, FRAMES, labels, reduction=reduction)  # type: ignore[arg-type]

    torch.testing.assert_close(vmap(loss)(many, lengths), torch.stack([*map(loss, many, lengths)]))


@pytest.mark.skipif(INTERPRETED, reason="values on a device are not checked")
def test_what_breaks_the_contract_is_refused_under_vmap_too() -> None:
    many = torch.stack([scores(), scores(1)])
    with pytest.raises(LabelError, match="found label 8"):
        vmap(lambda x: ctc_loss(x, TARGETS + 7, FRAMES))(many)
    with pytest.raises(LengthError, match=r"logit_lengths\[0\]: found 8, expected 0 to 7"):
        vmap(lambda x, frames: ctc_loss(x, TARGETS, frames, LABELS))(many, torch.stack([FRAMES + 1, FRAMES]))


@pytest.mark.skipif(INTERPRETED, reason="values on a device are not checked")
def test_concatenated_targets_of_each_batch_are_checked_for_themselves_under_vmap() -> None:
    rows = torch.tensor([[1, 2, 3, 1, 2, 3]] * 2)
    lengths = torch.tensor([[3, 3, 1], [1, 2, 2]])  # twelve in all, as there are labels
    x = torch.zeros(2, 3, 7, 5, dtype=KIND)
    with pytest.raises(LengthError, match="they add up to 7, expected 6"):
        vmap(ctc_loss)(x, rows, torch.full((2, 3), 7), lengths)


def test_an_empty_axis_of_vmap_is_refused() -> None:
    with pytest.raises(ShapeError, match="vmap: found an axis of size 0"):
        vmap(LOSSES["ctc_loss"])(scores().new_zeros(0, 2, 7, 4))


def test_a_sample_without_a_batch_axis_is_refused_with_what_to_do() -> None:
    with pytest.raises(ShapeError, match=r"Add a batch axis with logits\[None\]"):
        vmap(ctc_loss)(scores(), TARGETS, FRAMES, LABELS)


def test_a_custom_loss_works_under_grad_and_jvp_and_names_what_vmap_needs() -> None:
    loss = from_loss_and_grad(lambda x: ((x**3).sum((1, 2)), 3 * x**2))
    torch.testing.assert_close(grad(lambda x: loss(x).sum())(scores()), 3 * scores() ** 2)
    _, change = jvp(loss, (scores(),), (scores(1),))
    torch.testing.assert_close(change, (3 * scores() ** 2 * scores(1)).sum((1, 2)))
    with pytest.raises(RuntimeError, match=r"has no rule for torch\.func\.vmap.* give it the whole batch"):
        vmap(loss)(torch.stack([scores(), scores(1)]))
