"""Which weights the loss uses, which get a gradient, which the optimiser holds, and which its step moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.schedule import largest_rates
from seqloss.doctor.snapshot import unchanged
from seqloss.doctor.subject import NotChecked, Subject

ROUNDING = 1e-5
"""A gradient below this share of the largest one is what rounding leaves, as for a bias before a batch norm."""

CODE = """\
loss(model, batch).backward()
held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
for name, weight in model.named_parameters():
    print(name, "gradient:", weight.grad is not None, "in the optimiser:", id(weight) in held)
"""


def check(subject: Subject) -> Iterator[Finding]:
    weights = {name: weight for name, weight in subject.model.named_parameters() if weight.requires_grad}
    if not weights:
        raise NotChecked("no weight of the model requires a gradient")
    used, gradients = _gradients(subject, weights)
    if not used:
        yield Finding(
            "loss-without-gradient", "error", {"weights used": 0, "weights": len(weights)},
            "no weight is in the graph of the loss: the outputs are detached, or computed under no_grad or from data",
            "Remove .detach(), .item(), .data, argmax and torch.no_grad() between the model and the loss", CODE,
        )  # fmt: skip
        return
    unused = _never_used(subject, weights, used)
    if unused:
        yield Finding(
            "weights-unused", "error", {"weights": unused, "of": len(weights)},
            "the loss does not depend on these weights, although they require a gradient: a layer is not called, or "
            "its output is detached or thrown away",
            "Call the layer in forward, or remove it; a layer that is frozen on purpose has requires_grad=False", CODE,
        )  # fmt: skip
    still = _without_gradient(subject, weights, used, gradients)
    if still:
        yield Finding(
            "weights-without-gradient", "warning", {"weights": still, "of": len(weights)},
            "the gradient of these weights is exactly 0 in all batches that were tried: what follows them is cut off, "
            "saturated, or initialised with 0",
            "Look at the activations behind these layers: seqloss.doctor.layers(model) records them", CODE,
        )  # fmt: skip
    if subject.optimizer is not None:
        yield from _check_optimizer(subject, weights, gradients)


def _never_used(subject: Subject, weights: Mapping[str, Tensor], used: set[str]) -> list[str]:
    """Weights that are in no graph, also not of other batches, with other random numbers, or in evaluation mode.

    A layer is left out by chance in stochastic depth, and batches of several tasks have a head each.
    """
    unused = [name for name in weights if name not in used]
    batches = subject.data.batches or subject.batches
    tries = [*((batch, True, seed) for seed, batch in enumerate(batches)), (subject.batches[0], False, 0)]
    for batch, train, seed in tries:
        if not unused:
            break
        loss = subject.call(batch, train=train, seed=seed).loss
        if loss.requires_grad:
            found = torch.autograd.grad(loss, [weights[name] for name in unused], allow_unused=True)
            unused = [name for name, gradient in zip(unused, found, strict=True) if gradient is None]
    return unused


def _without_gradient(
    subject: Subject, weights: Mapping[str, Tensor], used: set[str], gradients: dict[str, Tensor]
) -> list[str]:
    """Weights without a gradient now, and after two dry steps: layers that begin with 0 block others only at first.

    A vector whose layer has another weight with a gradient is no fault: a bias can cancel.
    """
    still = _blocked(weights, used, gradients)
    if still:
        with unchanged(subject.model, subject.optimizer):
            for _ in range(2):
                subject.step_dry()
            _, again = _gradients(subject, weights)
        still = [name for name in _blocked(weights, used, again) if name in still]
    return still


def _blocked(weights: Mapping[str, Tensor], used: set[str], gradients: dict[str, Tensor]) -> list[str]:
    alive = {name.rpartition(".")[0] for name in weights if gradients[name].any()}
    return [name for name, weight in weights.items() if name in used and not gradients[name].any()
            and not (weight.dim() < 2 and name.rpartition(".")[0] in alive)]  # fmt: skip


def _gradients(subject: Subject, weights: Mapping[str, Tensor]) -> tuple[set[str], dict[str, Tensor]]:
    """The names of weights in the graph, and the sum of their |gradients| over the batches."""
    used: set[str] = set()
    sums = {name: torch.zeros(weight.shape, device=weight.device) for name, weight in weights.items()}
    for batch in subject.batches:
        loss = subject.call(batch, train=True).loss
        if not loss.requires_grad:
            continue
        found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, found, strict=True):
            if gradient is not None:
                used.add(name)
                dense = gradient.to_dense() if gradient.is_sparse else gradient
                sums[name] += dense.abs().to(sums[name].dtype)
    return used, sums


def _check_optimizer(
    subject: Subject, weights: Mapping[str, Tensor], gradients: dict[str, Tensor]
) -> Iterator[Finding]:
    assert subject.optimizer is not None
    held = [weight for group in subject.optimizer.param_groups for weight in group["params"]]
    held_ids = {id(weight) for weight in held}
    missing = [name for name, weight in weights.items() if id(weight) not in held_ids and gradients[name].any()]
    if missing:
        yield Finding(
            "weights-not-in-optimizer", "error", {"weights": missing, "of": len(weights)},
            "these weights get a gradient, and the optimiser does not hold them, so that they stay as they are",
            "Make the optimiser from model.parameters() after the model is complete, or set requires_grad=False", CODE,
        )  # fmt: skip
    own = {id(weight) for weight in subject.model.parameters()}
    strangers = sum(id(weight) not in own for weight in held)
    if strangers:
        yield Finding(
            "optimizer-holds-other-weights", "error", {"other weights": strangers, "held": len(held)},
            "the optimiser holds weights that are not those of the model: a layer was replaced, or the model was "
            "copied or moved, after the optimiser was made",
            "Make the optimiser last, from the model that is trained", CODE,
        )  # fmt: skip
    least = ROUNDING * max((float(gradient.max()) for gradient in gradients.values() if gradient.numel()), default=0.0)
    trained = {
        name: weight
        for name, weight in weights.items()
        if id(weight) in held_ids and weight.numel() and float(gradients[name].max()) > least
    }
    moved = _moved(subject, trained) if trained else set()
    fixed = [name for name in trained if name not in moved]
    if fixed:
        yield Finding(
            "weights-not-moved", "error", {"weights": fixed, "of": len(trained)},
            "a step of the optimiser leaves these weights as they are, although they have a gradient: the learning "
            "rate of their group is 0, or too small for their type",
            "Look at optimizer.param_groups: learning rates, and the type of weights in half precision", CODE,
        )  # fmt: skip


def _moved(subject: Subject, trained: dict[str, Tensor]) -> set[str]:
    """Names of the weights that one step changes, with the largest learning rate that the schedule reaches."""
    assert subject.optimizer is not None
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    rates = largest_rates(subject)
    for group, rate in zip(subject.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    held = [weight for group in subject.optimizer.param_groups for weight in group["params"]]
    subject.optimizer.zero_grad()
    for batch in subject.batches:
        loss = subject.call(batch, train=True).loss
        if loss.requires_grad:
            loss.backward(inputs=[weight for weight in held if weight.requires_grad])
    subject.optimizer.step()
    return {name for name, weight in trained.items() if not torch.equal(weight.detach(), before[name])}
