"""A training step of a table of 1,000,000 words: dense Adam, two optimisers by hand, and `DenseSparseOptimizer`.

    python benchmarks/sparse_table.py [--words 1000000] [--width 32] [--rounds 9] [--out benchmarks/results/...json]

One step is zero_grad, forward, backward and the optimiser's step of a classifier of bags of words, on one thread. The
three take turns; a time is the median over the rounds, with its quartiles. First, the weights of the two sparse ways
are compared: they must be the same bits. Bytes are those of the optimiser's state and of one gradient of the table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from machine import machine
from torch import Tensor, nn
from torch.optim import Adam, Optimizer, SparseAdam

from seqloss.torch.optim import DenseSparseOptimizer

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


def make_step(words: int, width: int, way: str) -> tuple[Callable[[int], None], Classifier, Optimizer | ByHand]:
    sparse, make = WAYS[way]
    model = Classifier(words, width, sparse)
    optimizer = make(model)

    def step(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
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


def check_same_bits(width: int) -> None:
    weights = []
    for way in list(WAYS)[1:]:
        step, model, _ = make_step(1000, width, way)
        for seed in range(5):
            step(seed)
        weights.append(list(chain(model.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True)), "the weights differ"


def measure(words: int, width: int, rounds: int) -> dict[str, dict[str, float]]:
    made = {way: make_step(words, width, way) for way in WAYS}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(rounds + 1):
        for way, (step, _, _) in made.items():
            started = time.perf_counter()
            step(seed)
            times[way].append(time.perf_counter() - started)
    results = {}
    for way, (_, model, optimizer) in made.items():
        low, median, high = np.percentile(times[way][1:], [25, 50, 75])  # without the first, which makes the state
        gradient = model.words.weight.grad
        assert gradient is not None
        size = gradient._values() if gradient.is_sparse else gradient
        results[way] = {
            "milliseconds": round(1e3 * median, 3),
            "quartiles": [round(1e3 * low, 3), round(1e3 * high, 3)],
            "state_megabytes": round(bytes_of(dict(optimizer.state)) / 1e6, 1),
            "gradient_megabytes": round(bytes_of(size) / 1e6, 3),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    check_same_bits(asked.width)
    ways = measure(asked.words, asked.width, asked.rounds)
    share = ways["DenseSparseOptimizer"]["milliseconds"] / ways["dense Adam"]["milliseconds"]
    result = {
        "machine": machine("torch"),
        "words": asked.words,
        "width": asked.width,
        "batch": [BATCH, LENGTH],
        "rounds": asked.rounds,
        "ways": ways,
        "share_of_dense_adam": round(share, 4),
    }
    print(json.dumps(result, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=2) + "\n")
    assert share <= 0.1, f"{share:.2f} of dense Adam's time, expected at most 0.1"


if __name__ == "__main__":
    main()
