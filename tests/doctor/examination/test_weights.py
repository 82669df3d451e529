"""Weights that the loss does not use, or the optimiser does not train, are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine

from .models import BATCHES, Reader, loss, names


class Detached(Reader):
    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().encode(x, lengths)
        return x.detach(), lengths


class Unused(Reader):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten = nn.Linear(3, 3)


class Argmax(Reader):
    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = super().forward(x, lengths)
        return x.detach(), lengths


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Detached, "weights-unused"), (Unused, "weights-unused"), (Argmax, "loss-without-gradient")],
)
def test_weights_outside_of_the_graph_are_named(kind: type[Reader], name: str) -> None:
    assert name in names(kind())


def test_frozen_weights_are_no_finding() -> None:
    model = Reader()
    model.convolve.requires_grad_(False)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad])
    assert names(model, optimizer=optimizer) == []


def test_an_optimizer_without_some_weights_or_with_others_is_named() -> None:
    model = Reader()
    some = torch.optim.Adam(model.recurrent.parameters())
    found = examine(model, BATCHES, loss, optimizer=some)
    assert found.names == ["weights-not-in-optimizer"]
    assert found[0].evidence["weights"] == ["convolve.weight", "convolve.bias", "head.weight", "head.bias"]
    every = torch.optim.Adam(model.parameters())
    model.head = nn.Linear(16, 6)
    assert names(model, optimizer=every) == ["optimizer-holds-other-weights", "weights-not-in-optimizer"] or set(
        names(model, optimizer=every)
    ) == {"weights-not-in-optimizer", "optimizer-holds-other-weights"}


def test_a_learning_rate_of_0_moves_nothing() -> None:
    model = Reader()
    assert names(model, optimizer=torch.optim.SGD(model.parameters(), lr=0.0)) == ["weights-not-moved"]


@pytest.mark.parametrize(
    ("rename", "loaded", "found", "prefix"),
    [
        ("{}", True, [], None),
        ("module.{}", False, ["checkpoint-not-loaded"], "module."),
        ("other_{}", False, ["checkpoint-not-loaded"], "none"),
        ("{}", False, ["checkpoint-not-loaded"], "none"),
    ],
)
def test_a_checkpoint_that_was_not_loaded_is_named(
    rename: str, loaded: bool, found: list[str], prefix: str | None
) -> None:
    model, source = Reader(), Reader()
    with torch.no_grad():
        for weight in source.parameters():
            weight += 0.01
    checkpoint = {rename.format(name): x for name, x in source.state_dict().items()}
    model.load_state_dict(checkpoint if loaded else {}, strict=False)
    findings = examine(model, BATCHES, loss, checkpoint=checkpoint)
    assert findings.names == found
    assert not found or findings[0].evidence["prefix"] == prefix


def test_a_new_head_is_no_fault_of_a_checkpoint() -> None:
    model = Reader()
    checkpoint = model.state_dict() | {"head.weight": torch.randn(40, 16), "head.bias": torch.randn(40)}
    assert examine(model, BATCHES, loss, checkpoint=checkpoint).names == []


@pytest.mark.parametrize("known", [True, False])
def test_a_warm_up_from_almost_nothing_moves_the_weights(known: bool) -> None:
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=100, div_factor=1e12)
    rates = [group["lr"] for group in optimizer.param_groups]
    assert names(model, optimizer=optimizer, scheduler=schedule, steps=100 if known else None) == []
    assert [group["lr"] for group in optimizer.param_groups] == rates


def test_a_group_whose_rate_stays_at_0_is_named() -> None:
    model = Reader()
    first = list(model.convolve.parameters())
    others = [weight for name, weight in model.named_parameters() if not name.startswith("convolve")]
    optimizer = torch.optim.Adam([{"params": first}, {"params": others}], lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: 0.0, lambda step: min(1.0, step / 10)])
    assert names(model, optimizer=optimizer, scheduler=schedule, steps=100) == ["weights-not-moved"]
