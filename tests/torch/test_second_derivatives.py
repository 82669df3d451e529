"""No second derivative is a wrong number: each way to ask for one raises, for each loss."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import functional

from seqloss.torch import CTCLoss, ctc_loss, from_loss_and_grad

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
UPSTREAM = torch.tensor([1.0, -2.5])
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
Loss = Callable[[torch.Tensor], torch.Tensor]


def cubes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x**3).sum((1, 2)), 3 * x**2


LOSSES: dict[str, Loss] = {
    "ctc_loss": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS),
    "CTCLoss": lambda x: CTCLoss(reduction="none")(x.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
    "cubes": from_loss_and_grad(cubes),
}


def leaf() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).float().requires_grad_()


def penalised(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    total = loss(x).sum()
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return total + gradient.square().sum()


def through_a_network(loss: Loss, x: torch.Tensor) -> None:
    weight = torch.eye(4, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(x @ weight).sum(), x, create_graph=True)
    torch.autograd.grad((loss(x @ weight).sum() + gradient.square().sum()), weight)


def with_a_learnable_weight(loss: Loss, x: torch.Tensor) -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(weight * loss(x).sum(), x, create_graph=True)
    torch.autograd.grad(3 * weight + gradient.square().sum(), weight)


def with_a_learnable_weight_of_many(loss: Loss, x: torch.Tensor) -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(weight * loss(x), x, torch.eye(2), is_grads_batched=True, create_graph=True)
    torch.autograd.grad(3 * weight + gradient.square().sum(), weight)


def of_a_jacobian(loss: Loss, x: torch.Tensor, **options: Any) -> None:
    jacobian = functional.jacobian(loss, x, create_graph=True, **options)
    torch.autograd.grad(loss(x).sum() + jacobian.square().sum(), x)


def under_vmap(loss: Loss, x: torch.Tensor) -> None:
    losses = loss(x)
    many = torch.func.vmap(lambda upstream: torch.autograd.grad(losses, x, upstream, create_graph=True)[0])
    torch.autograd.grad(losses.sum() + many(torch.eye(2)).square().sum(), x)


WAYS: dict[str, Callable[[Loss, torch.Tensor], Any]] = {
    "backward": lambda loss, x: penalised(loss, x).backward(),
    "backward(inputs=)": lambda loss, x: penalised(loss, x).backward(inputs=[x]),
    "autograd.grad": lambda loss, x: torch.autograd.grad(penalised(loss, x), x),
    "a network's weight": through_a_network,
    "a learnable weight": with_a_learnable_weight,
    "a learnable weight of many": with_a_learnable_weight_of_many,
    "jacobian": of_a_jacobian,
    "vectorized jacobian": lambda loss, x: of_a_jacobian(loss, x, vectorize=True),
    "vmap": under_vmap,
    "hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x),
    "strict hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x, strict=True),
    "vectorized hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x, vectorize=True),
    "hvp": lambda loss, x: functional.hvp(lambda x: loss(x).sum(), x, torch.ones_like(x)),
    "strict hvp": lambda loss, x: functional.hvp(lambda x: loss(x).sum(), x, torch.ones_like(x), strict=True),
    "vhp": lambda loss, x: functional.vhp(lambda x: loss(x).sum(), x, torch.ones_like(x)),
    "jvp": lambda loss, x: functional.jvp(loss, x, torch.ones_like(x)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_second_derivative_raises(way: str, name: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name} has no second derivative: .*create_graph=True"):
        WAYS[way](LOSSES[name], leaf())


@pytest.mark.parametrize("name", LOSSES)
def test_a_second_derivative_in_forward_mode_raises(name: str) -> None:
    with pytest.raises(RuntimeError, match="jvp"):
        functional.hessian(
            lambda x: LOSSES[name](x).sum(), leaf(), vectorize=True, outer_jacobian_strategy="forward-mode"
        )


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_with_a_graph_that_is_not_differentiated_has_the_same_bits(name: str) -> None:
    x = leaf()
    with torch.no_grad():
        x[1, 0, 0] = 0.0  # the custom loss has a gradient of -0.0 there
    expected = torch.autograd.grad(LOSSES[name](x), x, UPSTREAM)[0]
    (found,) = torch.autograd.grad(LOSSES[name](x), x, UPSTREAM, create_graph=True)
    assert torch.equal(found.view(torch.int32), expected.view(torch.int32))
    LOSSES[name](x).sum().backward(create_graph=True)
    (x.sum() + found.detach().sum()).backward(inputs=[x])
    many = torch.autograd.grad(LOSSES[name](x), x, UPSTREAM[None], is_grads_batched=True, create_graph=True)[0]
    torch.testing.assert_close(many[0], expected)
    x.grad = None  # a cycle, as PyTorch says


@pytest.mark.skipif(INTERPRETED, reason="the Triton kernels keep the scores")
@pytest.mark.parametrize("name", ["ctc_loss", "cubes"])
def test_the_scores_are_not_kept_for_the_error_alone(name: str) -> None:
    x = leaf()
    scores = x * 1
    loss = LOSSES[name](scores)
    memory = weakref.ref(scores.untyped_storage())
    gone = weakref.ref(scores)
    del scores
    gc.collect()
    assert gone() is None
    assert memory() is None
    (gradient,) = torch.autograd.grad(loss.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_penalty_on_a_compiled_loss_raises(name: str, backend: str) -> None:
    if INTERPRETED and (name, backend) == ("CTCLoss", "aot_eager"):
        pytest.skip("AOTAutograd itself ignores a penalty through log_softmax, as through sigmoid alone")
    torch.compiler.reset()
    try:
        with pytest.raises(RuntimeError, match=r"no second derivative|does not currently support double backward"):
            torch.autograd.grad(penalised(torch.compile(LOSSES[name], backend=backend), x := leaf()), x)
    finally:
        torch.compiler.reset()
