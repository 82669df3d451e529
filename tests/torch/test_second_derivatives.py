"""Every way to a second derivative gives the definition's, and every way to a third one raises."""

from __future__ import annotations

import functools
import gc
import os
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import functional, gradcheck, gradgradcheck

from seqloss.torch import CTCLoss, ctc_loss, from_loss_and_grad

from .plain_ctc import plain_ctc

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
UPSTREAM = torch.tensor([1.0, -2.5])
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
KIND = torch.float32 if INTERPRETED else torch.float64
"""The Triton kernels compute in float32."""
NEAR = {"rtol": 1e-4, "atol": 5e-6} if INTERPRETED else {"rtol": 1e-9, "atol": 1e-11}
Loss = Callable[[torch.Tensor], torch.Tensor]


def cubes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x**3).sum((1, 2)), 3 * x**2


LOSSES: dict[str, Loss] = {
    "ctc_loss": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS),
    "mean": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS, reduction="mean"),
    "log-probabilities": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS, normalize=False, validate=False),
    "CTCLoss": lambda x: CTCLoss(reduction="none")(x.log_softmax(2).transpose(0, 1), TARGETS, FRAMES, LABELS),
    "cubes": from_loss_and_grad(cubes, lambda x, v: 6 * x * v),
}
DEFINITIONS: dict[str, Loss] = {
    "ctc_loss": lambda x: plain_ctc(x, TARGETS, FRAMES, LABELS),
    "mean": lambda x: (plain_ctc(x, TARGETS, FRAMES, LABELS) / LABELS).mean(),
    "log-probabilities": lambda x: plain_ctc(x, TARGETS, FRAMES, LABELS, normalize=False),
    "CTCLoss": lambda x: plain_ctc(x, TARGETS, FRAMES, LABELS),
    "cubes": lambda x: (x**3).sum((1, 2)),
}


def leaf(kind: torch.dtype = KIND, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 7, 4))).to(kind).requires_grad_()


DIRECTION = leaf(seed=1).detach()


@functools.cache
def hessian(name: str) -> torch.Tensor:
    """The definition's, of the sum of the losses, (56, 56)."""
    function = DEFINITIONS[name]
    found = functional.hessian(lambda x: function(x).sum(), leaf(torch.float64))
    assert found.abs().max() > 0.05
    return found.reshape(56, 56)


def by_backward(loss: Loss, x: torch.Tensor, **options: Any) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss(x).sum(), x, create_graph=True)
    rows = []
    for entry in gradient.flatten():
        x.grad = None
        entry.backward(retain_graph=True, **options)
        rows.append(x.grad.flatten().clone())
    return torch.stack(rows)


def by_autograd_grad(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss(x).sum(), x, create_graph=True)
    return torch.stack([torch.autograd.grad(entry, x, retain_graph=True)[0] for entry in gradient.flatten()])


def by_batched_gradients(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss(x).sum(), x, create_graph=True)
    return torch.autograd.grad(gradient, x, torch.eye(56, dtype=x.dtype).reshape(56, 2, 7, 4), is_grads_batched=True)[0]


def of_a_jacobian(loss: Loss, x: torch.Tensor, **options: Any) -> torch.Tensor:
    jacobian = functional.jacobian(loss, x, create_graph=True, **options)
    gradient = jacobian.sum(0) if jacobian.ndim == 4 else jacobian
    return torch.stack([torch.autograd.grad(entry, x, retain_graph=True)[0] for entry in gradient.flatten()])


func = torch.func
FULL: dict[str, Callable[[Loss, torch.Tensor], torch.Tensor]] = {
    "backward": by_backward,
    "backward(inputs=)": lambda loss, x: by_backward(loss, x, inputs=[x]),
    "autograd.grad": by_autograd_grad,
    "is_grads_batched": by_batched_gradients,
    "jacobian": of_a_jacobian,
    "vectorized jacobian": lambda loss, x: of_a_jacobian(loss, x, vectorize=True),
    "hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x),
    "strict hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x, strict=True),
    "vectorized hessian": lambda loss, x: functional.hessian(lambda x: loss(x).sum(), x, vectorize=True),
    "forward-mode hessian": lambda loss, x: functional.hessian(
        lambda x: loss(x).sum(), x, vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
    "func.hessian": lambda loss, x: func.hessian(lambda x: loss(x).sum())(x.detach()),
    "jacrev of jacrev": lambda loss, x: func.jacrev(func.jacrev(lambda x: loss(x).sum()))(x.detach()),
    "jacfwd of jacfwd": lambda loss, x: func.jacfwd(func.jacfwd(lambda x: loss(x).sum()))(x.detach()),
    "jacrev of jacfwd": lambda loss, x: func.jacrev(func.jacfwd(lambda x: loss(x).sum()))(x.detach()),
}
ONE_AT_A_TIME = {"is_grads_batched", "vectorized hessian", "forward-mode hessian"}
"""Ways by autograd's own vmap, under which a custom loss cannot be called for each direction."""


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("way", FULL)
def test_every_way_to_the_hessian_gives_the_definitions(way: str, name: str) -> None:
    if name == "cubes" and way in ONE_AT_A_TIME:
        with pytest.raises(RuntimeError, match=r"cubes: batches of second derivatives .* are not supported"):
            FULL[way](LOSSES[name], leaf())
    else:
        found = FULL[way](LOSSES[name], leaf()).reshape(56, 56)
        torch.testing.assert_close(found.double(), hessian(name), **NEAR)


PRODUCTS: dict[str, Callable[[Loss, torch.Tensor], torch.Tensor]] = {
    "hvp": lambda f, x: functional.hvp(f, x, DIRECTION)[1],
    "strict hvp": lambda f, x: functional.hvp(f, x, DIRECTION, strict=True)[1],
    "vhp": lambda f, x: functional.vhp(f, x, DIRECTION)[1],
    "jvp of grad": lambda f, x: func.jvp(func.grad(f), (x.detach(),), (DIRECTION,))[1],
    "grad of jvp": lambda f, x: func.grad(lambda x: func.jvp(f, (x,), (DIRECTION,))[1])(x.detach()),
    "vjp of grad": lambda f, x: func.vjp(func.grad(f), x.detach())[1](DIRECTION)[0],
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("way", PRODUCTS)
def test_every_way_to_a_product_with_the_hessian_gives_the_definitions(way: str, name: str) -> None:
    found = PRODUCTS[way](lambda x: LOSSES[name](x).sum(), leaf())
    expected = hessian(name) @ DIRECTION.double().flatten()
    torch.testing.assert_close(found.double().flatten(), expected, **NEAR)


def penalised(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    total = loss(x).sum()
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return total + gradient.square().sum()


def through_a_network(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    weight = torch.eye(4, dtype=x.dtype, requires_grad=True)
    hidden = x.detach() @ weight
    (gradient,) = torch.autograd.grad(loss(hidden).sum(), hidden, create_graph=True)
    return torch.autograd.grad(loss(hidden).sum() + gradient.square().sum(), weight)[0]


def with_a_learnable_weight(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    weight = torch.tensor([2.0, 0.5], dtype=x.dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad((weight * loss(x)).sum(), x, create_graph=True)
    return torch.autograd.grad(weight.sum() + gradient.square().sum(), weight)[0]


def with_a_learnable_weight_of_many(loss: Loss, x: torch.Tensor) -> torch.Tensor:
    weight = torch.tensor(2.0, dtype=x.dtype, requires_grad=True)
    upstream = torch.eye(2, dtype=x.dtype)
    (gradient,) = torch.autograd.grad(weight * loss(x), x, upstream, is_grads_batched=True, create_graph=True)
    return torch.autograd.grad(3 * weight + gradient.square().sum(), weight)[0]


PENALTIES: dict[str, Callable[[Loss, torch.Tensor], torch.Tensor]] = {
    "a gradient penalty": lambda loss, x: torch.autograd.grad(penalised(loss, x), x)[0],
    "a network's weight": through_a_network,
    "a learnable weight": with_a_learnable_weight,
    "a learnable weight of many": with_a_learnable_weight_of_many,
}


@pytest.mark.parametrize("name", ["ctc_loss", "CTCLoss", "cubes"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_what_is_trained_through_a_gradient_gets_the_definitions_gradient(penalty: str, name: str) -> None:
    found = PENALTIES[penalty](LOSSES[name], leaf())
    torch.testing.assert_close(found.double(), PENALTIES[penalty](DEFINITIONS[name], leaf(torch.float64)), **NEAR)


@pytest.mark.skipif(INTERPRETED, reason="the Triton kernels compute in float32")
@pytest.mark.parametrize("name", ["ctc_loss", "mean", "log-probabilities", "CTCLoss"])
def test_gradcheck_and_gradgradcheck_pass_in_both_modes_one_by_one_and_batched(name: str) -> None:
    loss = LOSSES[name]
    assert gradcheck(loss, leaf(), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert gradgradcheck(loss, leaf(), check_fwd_over_rev=True, check_rev_over_rev=True, check_batched_grad=True)


THIRD: dict[str, Callable[[Loss, torch.Tensor], Any]] = {
    "backward": lambda loss, x: torch.autograd.grad(penalised(loss, x), x, create_graph=True)[0].sum().backward(),
    "func.grad": lambda loss, x: func.grad(
        lambda x: func.jvp(func.grad(lambda x: loss(x).sum()), (x,), (DIRECTION,))[1].sum()
    )(x.detach()),
    "jvp of jvp of jvp": lambda loss, x: func.jvp(
        lambda x: func.jvp(
            lambda x: func.jvp(lambda x: loss(x).sum(), (x,), (DIRECTION,))[1], (x,), (DIRECTION,)
        )[1],
        (x.detach(),), (DIRECTION,),
    ),
    "jacfwd of hessian": lambda loss, x: func.jvp(func.hessian(lambda x: loss(x).sum()), (x.detach(),), (DIRECTION,)),
}  # fmt: skip


@pytest.mark.parametrize("name", ["ctc_loss", "CTCLoss", "cubes"])
@pytest.mark.parametrize("way", THIRD)
def test_every_way_to_a_third_derivative_raises(way: str, name: str) -> None:
    with pytest.raises(RuntimeError, match="has no third derivative"):
        THIRD[way](LOSSES[name], leaf())


def test_a_custom_loss_without_a_hessian_vector_product_raises() -> None:
    loss = from_loss_and_grad(cubes)
    for way, calculate in (FULL | PENALTIES).items():
        if way.startswith("a learnable weight"):  # whose derivative needs the gradient alone
            torch.testing.assert_close(calculate(loss, leaf()), calculate(LOSSES["cubes"], leaf()))
            continue
        with pytest.raises(RuntimeError, match=r"cubes has no second derivative: .*hessian_vector_product"):
            calculate(loss, leaf())


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_with_a_graph_is_the_same_if_nobody_differentiates_it(name: str) -> None:
    weights = UPSTREAM.to(KIND) if name != "mean" else torch.tensor(-2.5, dtype=KIND)
    x = leaf()
    expected = torch.autograd.grad(LOSSES[name](x), x, weights)[0]
    (found,) = torch.autograd.grad(LOSSES[name](x), x, weights, create_graph=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 if INTERPRETED else 0)
    many = torch.autograd.grad(LOSSES[name](x), x, weights[None], is_grads_batched=True, create_graph=True)[0]
    torch.testing.assert_close(many[0], expected)


def test_rows_without_a_path_non_finite_rows_and_unused_frames_have_no_part_in_other_rows() -> None:
    x = torch.cat([leaf(), leaf(), leaf()]).detach()  # rows 0 and 1 as above; 2 has no path, 3 has a NaN
    x[3, 0, 0] = torch.nan
    x[1, 5:] = torch.nan
    x = x[:4].requires_grad_()
    targets = torch.cat([TARGETS, torch.ones_like(TARGETS)])
    frames, labels = torch.tensor([7, 5, 3, 7]), torch.tensor([3, 2, 3, 1])
    for zero in ("inf", "zero"):
        losses = ctc_loss(x, targets, frames, labels, infeasible=zero)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(losses, x, torch.ones(4, dtype=KIND), create_graph=True)
        (product,) = torch.autograd.grad(gradient, x, torch.cat([DIRECTION, DIRECTION]))
        expected = (hessian("ctc_loss") @ DIRECTION.double().flatten()).reshape(2, 7, 4)
        torch.testing.assert_close(product[:2].double(), expected, **NEAR)
        assert not product[1, 5:].any()
        assert not product[2].any()
        assert product[3].isnan().all()


@pytest.mark.parametrize("create_graph", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_inside_a_dual_level_has_the_hessian_for_a_tangent(name: str, create_graph: bool) -> None:
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(leaf(), DIRECTION)
        (gradient,) = torch.autograd.grad(LOSSES[name](dual).sum(), dual, create_graph=create_graph)
        tangent = forward_ad.unpack_dual(gradient).tangent
    expected = hessian(name) @ DIRECTION.double().flatten()
    torch.testing.assert_close(tangent.detach().double().flatten(), expected, **NEAR)


def test_an_upstream_gradient_with_a_tangent_gives_it_to_the_gradient() -> None:
    forward_ad, x = torch.autograd.forward_ad, leaf()
    (expected,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS).sum(), x)
    with forward_ad.dual_level():
        weight = forward_ad.make_dual(torch.tensor(2.0, dtype=KIND), torch.tensor(3.0, dtype=KIND))
        (gradient,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS).sum() * weight, x)
        tangent = forward_ad.unpack_dual(gradient).tangent
    torch.testing.assert_close(tangent, 3 * expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(INTERPRETED, reason="autograd itself refuses a change of what the Triton kernels save")
def test_labels_and_lengths_changed_after_the_loss_do_not_change_its_second_derivative() -> None:
    for changed in range(3):
        given = [TARGETS.clone(), FRAMES.clone(), LABELS.clone()]
        x = leaf()
        losses = ctc_loss(x, *given)
        given[changed].fill_(1)
        (gradient,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
        (product,) = torch.autograd.grad(gradient, x, DIRECTION)
        expected = hessian("ctc_loss") @ DIRECTION.double().flatten()
        torch.testing.assert_close(product.double().flatten(), expected, **NEAR)


def test_arguments_of_a_custom_loss_that_change_do_not_change_its_second_derivative() -> None:
    loss = from_loss_and_grad(lambda x, y: (((x - y) ** 3).sum(-1), 3 * (x - y) ** 2), lambda x, v, y: 6 * (x - y) * v)
    for other in (torch.zeros(3), np.zeros(3)):
        x = torch.ones(2, 3, requires_grad=True)
        total = loss(x, other).sum()
        other[...] = 5
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        assert (torch.autograd.grad(gradient.sum(), x)[0] == 6).all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
def test_second_derivatives_of_half_types_are_rounded_once(kind: torch.dtype) -> None:
    x = leaf(kind)
    (gradient,) = torch.autograd.grad(ctc_loss(x, TARGETS, FRAMES, LABELS).sum(), x, create_graph=True)
    (product,) = torch.autograd.grad(gradient, x, DIRECTION.to(kind))
    y = x.detach().double().requires_grad_()
    expected = functional.hvp(lambda y: plain_ctc(y, TARGETS, FRAMES, LABELS).sum(), y, DIRECTION.to(kind).double())[1]
    assert product.dtype == kind
    torch.testing.assert_close(product.double(), expected, rtol=torch.finfo(kind).eps, atol=1e-5)


@pytest.mark.skipif(INTERPRETED, reason="the Triton kernels save the scores as autograd does")
def test_scores_changed_in_place_after_the_loss_forbid_the_second_derivative_alone() -> None:
    x = leaf()
    scores = x * 1
    loss = ctc_loss(scores, TARGETS, FRAMES, LABELS).sum()
    expected = torch.autograd.grad(loss, x, retain_graph=True)[0]
    with torch.no_grad():
        scores += 1
    assert torch.equal(torch.autograd.grad(loss, x, retain_graph=True)[0], expected)
    with pytest.raises(RuntimeError, match=r"changed in place after the loss; .*logits\.clone"):
        torch.autograd.grad(loss, x, create_graph=True)


@pytest.mark.parametrize("name", ["ctc_loss", "mean", "cubes"])
def test_scores_detached_in_place_after_the_loss_forbid_the_second_derivative_alone(name: str) -> None:
    x = leaf()
    scores = x * 1
    loss = LOSSES[name](scores).sum() + x.square().sum()
    expected = torch.autograd.grad(loss, x, retain_graph=True)[0]
    scores.detach_()
    assert torch.equal(torch.autograd.grad(loss, x, retain_graph=True)[0], expected)
    with pytest.raises(RuntimeError, match=r"(changed|detached) in place after the loss"):
        torch.autograd.grad(loss, x, create_graph=True)


@pytest.mark.skipif(INTERPRETED, reason="the Triton kernels save the scores as autograd does")
def test_scores_given_other_memory_after_the_loss_forbid_the_second_derivative_alone() -> None:
    x = leaf()
    scores = x * 1
    loss = ctc_loss(scores, TARGETS, FRAMES, LABELS).sum() + x.square().sum()
    expected = torch.autograd.grad(loss, x, retain_graph=True)[0]
    scores.data = torch.zeros_like(scores)
    assert torch.equal(torch.autograd.grad(loss, x, retain_graph=True)[0], expected)
    with pytest.raises(RuntimeError, match=r"changed in place after the loss; .*logits\.clone"):
        torch.autograd.grad(loss, x, create_graph=True)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_is_kept_for_a_log_does_not_keep_the_scores(name: str) -> None:
    x = leaf()
    scores = x * 1
    loss = LOSSES[name](scores).sum()
    memory = weakref.ref(scores)
    loss.backward()
    del scores
    gc.collect()
    assert memory() is None
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_is_kept_for_a_log_does_not_keep_the_gradient(name: str) -> None:
    x = torch.zeros(2, 7, 5000, dtype=torch.float64, requires_grad=True)
    LOSSES[name](x).sum().backward()
    x.grad = None
    tracemalloc.start()
    loss = LOSSES[name](x).sum()
    loss.backward()
    x.grad = None
    gc.collect()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < x.nbytes / 4
    assert torch.isfinite(loss)
