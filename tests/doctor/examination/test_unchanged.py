"""Afterwards everything is as before, to the bit."""

from __future__ import annotations

import copy
import random
import threading
from collections import defaultdict, deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine

from .models import BATCHES, Reader, loss, training


class Memory:
    """What a model keeps in an object of its own."""

    def __init__(self) -> None:
        self.count, self.rows = 0, np.zeros(2)
        self.last, self.by_size = deque([0], maxlen=3), defaultdict(int)
        self.norm = [nn.BatchNorm1d(4)]

    def add(self, x: Tensor) -> None:
        self.count += 1
        self.rows += 1
        self.last.append(len(x))
        self.by_size[len(x)] += 1
        self.norm[0](x.transpose(1, 2))

    def content(self) -> list[Any]:
        return [self.count, self.rows.tolist(), list(self.last), dict(self.by_size), self.norm[0].state_dict()]


class Stateful(Reader):
    """Counts its calls, keeps the last states, and has a buffer that it writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.last = 0, torch.zeros(3)
        self.seen: list[int] = []
        self.register_buffer("total", torch.zeros(()))
        self.norm = nn.BatchNorm1d(4)
        self.memory, self.lock = Memory(), threading.Lock()

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        self.memory.add(x)
        self.calls += 1
        self.last += 1
        self.seen.append(len(x))
        self.total += float(x.sum())
        self.norm(x.transpose(1, 2))
        return super().forward(x, lengths)


def everything(model: Stateful, options: dict[str, Any]) -> list[Any]:
    tensors = [*model.state_dict().values(), model.last, *(weight.grad for weight in model.parameters())]
    return [
        [tensor.clone() for tensor in tensors if tensor is not None],
        [copy.deepcopy(options["optimizer"].state_dict()), copy.deepcopy(options["scheduler"].state_dict())],
        copy.deepcopy(model.memory.content()),
        [model.calls, list(model.seen), [module.training for module in model.modules()]],
        [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()],
    ]


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return bool(torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


@pytest.mark.parametrize("mode", [True, False])
def test_model_optimizer_schedule_and_random_states_are_as_before(mode: bool) -> None:
    model = Stateful().train(mode)
    model.norm.eval()
    options = training(model)
    loss(model, BATCHES[0]).backward()
    options["optimizer"].step()
    options["scheduler"].step()
    before = everything(model, options)
    gradients = [weight.grad for weight in model.parameters()]
    examine(model, BATCHES, loss, **options)
    after = everything(model, options)
    for one, other in zip(before, after, strict=True):
        assert equal(one, other)
    assert all(one is weight.grad for one, weight in zip(gradients, model.parameters(), strict=True))


def test_an_object_with_a_lock_stays_as_it_is() -> None:
    """A writer of logs has a queue for a thread of its own: what the thread wrote must not come back."""
    model = Stateful()
    model.memory.lock = threading.Lock()
    examine(model, BATCHES, loss)
    assert model.memory.count > 0


def test_a_graph_of_the_caller_can_still_be_used() -> None:
    model = Reader()
    kept = loss(model, BATCHES[0])
    examine(model, BATCHES, loss)
    kept.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_schedules_inside_of_a_schedule_are_as_before() -> None:
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters())
    parts = [torch.optim.lr_scheduler.LinearLR(optimizer), torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)]
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, [5])
    before = copy.deepcopy([one.state_dict() for one in (schedule, *parts)])
    rates = [group["lr"] for group in optimizer.param_groups]
    assert not examine(model, BATCHES, loss, optimizer=optimizer, scheduler=schedule, steps=50)
    assert [one.state_dict() for one in (schedule, *parts)] == before
    assert [group["lr"] for group in optimizer.param_groups] == rates
