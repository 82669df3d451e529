"""A training step of a table of 1,000,000 words: dense Adam, two optimisers by hand, and `DenseSparseOptimizer`.

One step is zero_grad, forward, backward and the optimiser's step of a classifier of bags of words. First, the weights
of the two sparse ways are compared: they must be the same bits. Bytes are those of the optimiser's state and of one
gradient of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count

import torch
from interleaved import Figures, time_in_turns
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, SparseAdam

from seqloss.torch.optim import DenseSparseOptimizer

WORDS, WIDTH = 1_000_000, 32
BATCH, LENGTH, CLASSES = 64, 20, 10


class Classifier(nn.Module):
    def __init__(self, words: int, width: int, sparse: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(words, width, sparse=sparse)
        self.layers = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, CLASSES))

    def forward(self, bags: Tensor) -> Tensor:
        return self.layers(self.words(bags).mean(1))


class ByHand:
    """SparseAdam for the table and Adam for the rest."""

    def __init__(self, model: Classifier) -> None:
        self.parts: list[Optimizer] = [Adam(model.layers.parameters()), SparseAdam([model.words.weight])]
        self.state = {"parts": [part.state for part in self.parts]}

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        for part in self.parts:
            part.step()


WAYS: dict[str, tuple[bool, Callable[[Classifier], Optimizer | ByHand]]] = {
    "dense Adam": (False, lambda model: Adam(model.parameters())),
    "Adam and SparseAdam by hand": (True, ByHand),
    "DenseSparseOptimizer": (True, DenseSparseOptimizer),
}


def make_step(words: int, way: str) -> tuple[Callable[[], None], Classifier, Optimizer | ByHand]:
    sparse, make = WAYS[way]
    model = Classifier(words, WIDTH, sparse)
    optimizer = make(model)
    seeds = count()

    def step() -> None:
        generator = torch.Generator().manual_seed(next(seeds))
        bags = torch.randint(words, (BATCH, LENGTH), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(bags), bags[:, 0] % CLASSES).backward()
        optimizer.step()

    return step, model, optimizer


def bytes_of(found: object) -> int:
    if isinstance(found, Tensor):
        return found.numel() * found.element_size()
    if isinstance(found, dict):
        return sum(map(bytes_of, found.values()))
    return sum(map(bytes_of, found)) if isinstance(found, list) else 0


def check_same_bits() -> None:
    weights = []
    for way in list(WAYS)[1:]:
        step, model, _ = make_step(1000, way)
        for _ in range(5):
            step()
        weights.append(list(chain(model.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True)), "the weights differ"


def measure(rounds: int) -> dict[str, Figures]:
    """A step of each way; raises if ours takes more than a tenth of dense Adam's time."""
    check_same_bits()
    made = {way: make_step(WORDS, way) for way in WAYS}
    found = time_in_turns({way: step for way, (step, _, _) in made.items()}, rounds)
    for way, (_, model, optimizer) in made.items():
        gradient = model.words.weight.grad
        assert gradient is not None
        size = gradient._values() if gradient.is_sparse else gradient
        found[way]["state_megabytes"] = round(bytes_of(dict(optimizer.state)) / 1e6, 1)
        found[way]["gradient_megabytes"] = round(bytes_of(size) / 1e6, 3)
    share = found["DenseSparseOptimizer"]["milliseconds"] / found["dense Adam"]["milliseconds"]
    assert share <= 0.1, f"{share:.2f} of dense Adam's time, expected at most 0.1"
    return {f"{WORDS} words of {WIDTH} values": found}
