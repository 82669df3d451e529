"""Half types where people meet them: under autocast, and with a loss scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss.torch import CTCLoss, ctc_loss

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
HALF = [torch.bfloat16, torch.float16]


def network() -> tuple[torch.nn.Linear, torch.Tensor]:
    """From five features to four classes, and two rows of seven frames of them."""
    rng = np.random.default_rng(0)
    linear = torch.nn.Linear(5, 4)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(rng.normal(size=(4, 5))))
        linear.bias.zero_()
    return linear, torch.from_numpy(rng.normal(size=(2, 7, 5))).float()


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("kind", HALF, ids=str)
def test_under_autocast_a_layer_gets_the_gradient_of_its_own_half_scores(kind: torch.dtype, inside: bool) -> None:
    linear, features = network()
    with torch.autocast("cpu", kind):
        logits = linear(features)
        logits.retain_grad()
        loss = ctc_loss(logits, TARGETS, FRAMES, LABELS, reduction="mean") if inside else None
        if inside:
            loss.backward()
    if not inside:
        loss = ctc_loss(logits, TARGETS, FRAMES, LABELS, reduction="mean")
        loss.backward()
    assert logits.dtype == kind
    assert loss.dtype == torch.float32
    plain = logits.detach().clone().requires_grad_()
    expected = ctc_loss(plain, TARGETS, FRAMES, LABELS, reduction="mean")
    expected.backward()
    assert torch.equal(loss, expected)
    assert logits.grad.dtype == kind
    assert torch.equal(logits.grad, plain.grad)
    precise = plain.detach().double().requires_grad_()
    ctc_loss(precise, TARGETS, FRAMES, LABELS, reduction="mean").backward()
    torch.testing.assert_close(logits.grad.double(), precise.grad, rtol=2 * torch.finfo(kind).eps, atol=1e-7)
    weight = torch.einsum("ntc,ntf->cf", precise.grad, features.double())
    size = torch.einsum("ntc,ntf->cf", precise.grad.abs(), features.double().abs())
    assert linear.weight.grad.dtype == torch.float32
    assert ((linear.weight.grad.double() - weight).abs() <= 3 * torch.finfo(kind).eps * size).all()


def test_the_drop_in_under_autocast_is_torchs_own_on_the_same_half_scores() -> None:
    """Torch computes the same call in float32 under autocast, and in a half type nowhere else."""
    log_probs = network()[0](network()[1]).log_softmax(2).transpose(0, 1).detach().bfloat16()
    answers = []
    for kind in (CTCLoss, torch.nn.CTCLoss):
        x = log_probs.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            loss = kind()(x, TARGETS, FRAMES, LABELS)
        loss.backward()
        answers.append((loss.detach(), x.grad.float()))
    (ours, gradient), (peer, expected) = answers
    assert ours.dtype == peer.dtype
    torch.testing.assert_close(ours, peer)
    torch.testing.assert_close(gradient, expected, rtol=2 * torch.finfo(torch.bfloat16).eps, atol=1e-6)


def sure(margin: float = 21.0) -> torch.Tensor:
    """Scores of a model that is sure, and right, of the blank and the labels 1, 2 and 3: float16 (1, 12, 5)."""
    path = torch.tensor([0, 1, 0, 0, 2, 2, 0, 3, 0, 0, 0, 0])
    return (margin * torch.nn.functional.one_hot(path, 5)[None]).half()


def test_a_loss_scale_is_folded_in_before_the_gradient_is_rounded() -> None:
    exact, plain, scaled = sure().float().requires_grad_(), sure().requires_grad_(), sure().requires_grad_()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    target = torch.tensor([[1, 2, 3]])
    ctc_loss(exact, target, reduction="mean").backward()
    ctc_loss(plain, target, reduction="mean").backward()
    scaler.scale(ctc_loss(scaled, target, reduction="mean")).backward()
    assert 0 < exact.grad.abs().max() < 2.0**-25  # all would round to 0
    assert not plain.grad.any()
    assert scaled.grad.any(dim=2).all()
    assert torch.equal(scaled.grad, (exact.grad * 2.0**16).half())


def test_a_scaled_step_under_float16_autocast_is_the_float32_step() -> None:
    steps = []
    for half in (False, True):
        linear = torch.nn.Linear(5, 5, bias=False)
        torch.nn.init.eye_(linear.weight)
        features = sure().float().requires_grad_()
        optimiser = torch.optim.SGD([features], lr=1.0)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, enabled=half)
        with torch.autocast("cpu", torch.float16, enabled=half):
            loss = ctc_loss(linear(features), torch.tensor([[1, 2, 3]]), reduction="mean")
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        steps.append(features.grad)
    assert steps[0].any(dim=2).all()
    torch.testing.assert_close(steps[1], steps[0], rtol=2.0**-9, atol=2.0**-41)  # float16's least, unscaled
