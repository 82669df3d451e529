"""Healthy models of the usual kinds that laws once called faults."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, mse_loss

from seqloss.doctor import examine
from seqloss.errors import OptionError

LABELLED = [(torch.randn(12, 8), torch.randint(0, 4, (12,))) for _ in range(8)]


def small(inputs: int = 8, outputs: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs))


def classify(model: nn.Module, batch: Any) -> Tensor:
    return cross_entropy(model(batch[0]), batch[1])


class Skipping(nn.Module):
    """Stochastic depth: each layer is left out by chance while it trains."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x if self.training and random.random() < 0.5 else x + layer(x).tanh()
        return self.head(x)


def test_layers_that_are_left_out_by_chance_are_used() -> None:
    assert examine(Skipping(), LABELLED, classify).names == []


def test_heads_of_tasks_that_take_turns_are_used() -> None:
    model = nn.ModuleDict({task: small() for task in "abcd"})
    tasks = [(*batch, "abcd"[n % 4]) for n, batch in enumerate(LABELLED)]
    assert examine(Tasks(model), tasks, lambda m, b: cross_entropy(m(b[0], b[2]), b[1])).names == []


class Tasks(nn.Module):
    def __init__(self, heads: nn.ModuleDict) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor, task: str) -> Tensor:
        return self.heads[task](x)


class Explained(nn.Module):
    """Returns what it computed on the way: features behind a ReLU, attention weights, a mask, a learned deviation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.score, self.head = nn.Linear(8, 16), nn.Linear(16, 1), nn.Linear(16, 4)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.hidden(x).relu()
        weights = self.score(features).squeeze(-1).softmax(-1)
        scores = self.head((weights[..., None] * features).sum(1))
        return {"features": features, "weights": weights, "mask": torch.ones(x.shape[:2]), "scores": scores,
                "scale": self.scale.expand(len(x))}  # fmt: skip


def test_what_a_model_returns_beside_its_result_is_no_last_layer() -> None:
    batches = [(torch.randn(6, 9, 8), torch.randint(0, 4, (6,))) for _ in range(2)]

    def loss(model: nn.Module, batch: Any) -> Tensor:
        found = model(batch[0])
        return cross_entropy(found["scores"], batch[1]) + found["features"].mean() + found["scale"].square().mean()

    assert examine(Explained(), batches, loss).names == []


def test_amounts_may_end_in_a_relu_and_are_noted() -> None:
    batches = [(x := torch.randn(12, 8), x.abs().sum(1, keepdim=True)) for _ in range(2)]
    model = small(outputs=1).append(nn.ReLU())
    found = examine(model, batches, lambda m, b: mse_loss(m(b[0]), b[1]))
    assert [(one.name, one.severity) for one in found] == [("outputs-clipped", "note")]
    below = [(x, y - 9) for x, y in batches]
    found = examine(model, below, lambda m, b: mse_loss(m(b[0]), b[1]))
    assert {one.name for one in found if one.severity == "error"} == {"outputs-clipped", "targets-outside-outputs"}


def test_probabilities_are_no_targets_of_log_probabilities() -> None:
    batches = [(torch.randn(12, 8), torch.randn(12, 4).softmax(-1)) for _ in range(2)]

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return kl_div(model(batch[0]), batch[1], reduction="batchmean")

    assert examine(small().append(nn.LogSoftmax(-1)), batches, loss).names == []


def test_a_matrix_of_all_pairs_has_rows_on_both_axes() -> None:
    class Matching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = small(), small(5)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.one(x) @ self.other(y).T

    batches = [(torch.randn(12, 8), torch.randn(12, 5)) for _ in range(2)]
    assert examine(Matching(), batches, lambda m, b: cross_entropy(m(*b), torch.arange(len(b[0])))).names == []


def test_a_critic_that_is_called_twice_has_two_inputs_and_other_models_stay() -> None:
    critic, generator = small(outputs=1), small(3, 8)
    generator.append(nn.BatchNorm1d(8))

    def of_critic(model: nn.Module, batch: Any) -> Tensor:
        real, made = model(batch[0]), model(generator(batch[1]).detach())
        return binary_cross_entropy_with_logits(real, torch.ones_like(real)) + made.sigmoid().mean()

    batches = [(torch.randn(12, 8), torch.randn(12, 3)) for _ in range(2)]
    assert examine(critic, batches, of_critic, optimizer=torch.optim.Adam(critic.parameters())).names == []
    assert generator[-1].num_batches_tracked == 0

    def of_generator(model: nn.Module, batch: Any) -> Tensor:
        return -critic(model(batch[1])).mean()

    found = examine(generator, batches, of_generator, optimizer=torch.optim.Adam(generator.parameters()))
    assert found.names == []
    assert all(weight.grad is None for weight in critic.parameters())


def test_noise_of_the_loss_is_none_of_the_model() -> None:
    def denoise(model: nn.Module, x: Tensor) -> Tensor:
        noise = torch.randn_like(x)
        return mse_loss(model(x + noise), noise)

    assert examine(small(outputs=8), [torch.randn(12, 8) for _ in range(2)], denoise).names == []
    noisy = nn.Sequential(nn.Dropout(0.5), small(outputs=8))
    noisy[0].eval = noisy[0].train = lambda *_: noisy[0]
    assert "evaluation-is-random" in examine(noisy, [torch.randn(12, 8) for _ in range(2)], denoise).names


class Stateful(nn.Module):
    """Goes on from the state in which the batch before ended, also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.look_up, self.recurrent, self.head = nn.Embedding(9, 8), nn.GRU(8, 16, batch_first=True), nn.Linear(16, 9)
        self.state: Tensor | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        state = self.state if self.state is not None and self.state.shape[1] == len(tokens) else None
        hidden, state = self.recurrent(self.look_up(tokens), state)
        self.state = state.detach()
        return self.head(hidden)


def test_each_call_begins_with_the_state_that_the_model_has_at_first() -> None:
    texts = [torch.randint(0, 9, (6, 11)) for _ in range(2)]
    model = Stateful()
    assert examine(model, texts, lambda m, b: cross_entropy(m(b[:, :-1]).transpose(1, 2), b[:, 1:])).names == []
    assert model.state is None


def test_a_loss_may_take_parts_out_of_its_batch() -> None:
    def loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        return cross_entropy(model(batch["x"].mul_(0.5)), batch.pop("labels"))

    batches: list[dict[str, Any]] = []
    for x, labels in LABELLED:
        batches.append(defaultdict(dict))
        batches[-1].update(x=x.clone(), labels=labels)
    found = examine(small(), batches, loss)
    assert found.names == []
    assert not [one for one in found.not_checked.values() if "Error" in one]
    assert all(
        torch.equal(batch["x"], x) and batch["labels"] is y for batch, (x, y) in zip(batches, LABELLED, strict=True)
    )


class Making(nn.Module):
    """Makes a buffer and a layer in its first call, and has generators of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = small()
        self.generator, self.numbers = torch.Generator().manual_seed(1), np.random.default_rng(1)
        self.python = random.Random(1)

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "places"):
            self.register_buffer("places", torch.arange(8.0))
            self.extra = nn.Identity()
        noise = torch.rand(1, generator=self.generator) + self.numbers.random(dtype=np.float32) + self.python.random()
        return self.layer(self.extra(x + self.places + (0.1 * noise if self.training else 0)))


def test_what_the_first_call_makes_and_own_generators_are_put_back() -> None:
    model = Making()
    before = model.generator.get_state(), model.numbers.bit_generator.state, model.python.getstate()
    assert examine(model, LABELLED, classify).names == []
    assert list(model.state_dict()) == [f"layer.{n}.{kind}" for n in (0, 2) for kind in ("weight", "bias")]
    assert [name for name, _ in model.named_children()] == ["layer"]
    assert torch.equal(model.generator.get_state(), before[0])
    assert (model.numbers.bit_generator.state, model.python.getstate()) == before[1:]


def test_an_optimizer_with_a_schedule_is_not_marked_as_stepped() -> None:
    model = small()
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 9)
    before = set(vars(optimizer))
    examine(model, LABELLED, classify, optimizer=optimizer, scheduler=schedule, steps=9)
    assert set(vars(optimizer)) == before


def test_lazy_layers_are_refused_by_name() -> None:
    with pytest.raises(OptionError, match="lazy layers"):
        examine(nn.LazyLinear(4), LABELLED, classify)
