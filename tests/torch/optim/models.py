"""Models with embeddings whose gradients are sparse, and batches for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, SparseAdam

WORDS, WIDTH = 50, 4


class Bags(nn.Module):
    """Classes of bags of words: two embeddings with sparse gradients, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, WIDTH, sparse=True)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.pairs = nn.EmbeddingBag(WORDS, WIDTH, sparse=True, mode="sum")
        self.out = nn.Linear(WIDTH, 3)

    def forward(self, bags: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(self.words(bags).mean(1)) + self.pairs(bags)))


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(WORDS, (8, 3), generator=generator), torch.randint(3, (8,), generator=generator)


def loss_of(model: nn.Module, seed: int) -> Tensor:
    bags, classes = batch(seed)
    return nn.functional.cross_entropy(model(bags), classes)


def train(model: nn.Module, optimizer: Optimizer, steps: range, after: Callable[[], object] = lambda: None) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()
        after()


class TwoByHand:
    """Adam and SparseAdam as one writes them without `DenseSparseOptimizer`."""

    def __init__(self, model: Bags) -> None:
        self.dense = Adam(chain(model.hidden.parameters(), model.out.parameters()))
        self.sparse = SparseAdam([model.words.weight, model.pairs.weight])

    def zero_grad(self) -> None:
        self.dense.zero_grad()
        self.sparse.zero_grad()

    def step(self) -> None:
        self.dense.step()
        self.sparse.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
