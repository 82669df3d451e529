"""SMORMS3 beside Adam, RMSprop, Adadelta and SGD on three small problems.

    python benchmarks/optimizers.py --captchas FOLDER [--steps 300] [--seeds 3]
        [--out benchmarks/results/optimizers.json]

The problems are two spirals (a small network of dense layers), the adding problem of 20 steps (an LSTM), and captchas
(the network and the augmentation of the OCR recipe, without its schedule and clipping). Spirals and sums are new in
each batch, so that the training loss is that of data the model has not seen. Every optimiser gets the same choice of
six learning rates: its usual one times 0.3, 1, 3, 10, 30 and 100. SGD has a momentum of 0.9. The rate with the least
loss on seed 0 is used for all seeds. A loss is the mean over the last tenth of the steps.

`python benchmarks/pictures.py optimizers` draws the losses of that file.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from torch import Tensor, nn

from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.torch.optim import SMORMS3

FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
OPTIMIZERS: dict[str, tuple[float, Callable[..., torch.optim.Optimizer]]] = {
    "SMORMS3": (2.5e-3, SMORMS3),
    "Adam": (1e-3, torch.optim.Adam),
    "RMSprop": (1e-3, torch.optim.RMSprop),
    "Adadelta": (1.0, torch.optim.Adadelta),
    "SGD": (1e-2, lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9)),
}
"""Each with its usual learning rate: the default, except that RMSprop of PyTorch has 1e-2, and Keras 1e-3."""

Loss = Callable[[nn.Module, torch.Generator], Tensor]
Problem = tuple[Callable[[], nn.Module], Loss]


def spirals(network: nn.Module, generator: torch.Generator) -> Tensor:
    classes = torch.randint(2, (64,), generator=generator)
    radius = torch.rand(64, generator=generator)
    angle = 3 * math.pi * radius + math.pi * classes
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return nn.functional.cross_entropy(network(points), classes)


class LastOutput(nn.Module):
    """A number from the last state of an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.LSTM(2, 24, batch_first=True), nn.Linear(24, 1)

    def forward(self, steps: Tensor) -> Tensor:
        return self.out(self.layer(steps)[0][:, -1])[:, 0]


def adding(network: nn.Module, generator: torch.Generator) -> Tensor:
    """Add the two marked numbers of 20; the mean squared error of always 1 is 1/6."""
    numbers, marks = torch.rand(32, 20, generator=generator), torch.zeros(32, 20)
    first, second = (torch.randint(10, (32, 1), generator=generator) + start for start in (0, 10))
    marks.scatter_(1, first, 1).scatter_(1, second, 1)
    return nn.functional.mse_loss(network(torch.stack([numbers, marks], 2)), (numbers * marks).sum(1))


class Captchas:
    """The OCR recipe on a folder of captchas, in batches of 16 random images, as they are augmented in training."""

    def __init__(self, folder: str) -> None:
        self.task = OcrTask(Settings(data=folder))
        self.source = self.task.load_data(print_line=lambda line: None).sources["train"]

    def network(self) -> nn.Module:
        return self.task.build_network()

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(self.source), (16,), generator=generator).tolist()
        epoch = int(torch.randint(1000, (), generator=generator))
        batch = self.task.collate([self.source.item(epoch, row) for row in rows])
        return self.task.loss(batch, self.task.forward(network, batch))


PROBLEMS: dict[str, Problem] = {
    "two spirals: cross-entropy": (
        lambda: nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)),
        spirals,
    ),
    "adding problem: squared error": (LastOutput, adding),
}


def all_problems(captchas: str) -> dict[str, Problem]:
    found = Captchas(captchas)
    return {**PROBLEMS, "captchas: CTC loss per character": (found.network, found.loss)}


def run(problem: Problem, optimizer: str, rate: float, seed: int, steps: int) -> list[float]:
    """The loss of each step; infinite from the step on in which it is not finite."""
    make_network, loss_of = problem
    torch.manual_seed(seed)
    network, generator = make_network(), torch.Generator().manual_seed(seed)
    trained = OPTIMIZERS[optimizer][1](network.parameters(), lr=rate)
    losses: list[float] = []
    for _ in range(steps):
        trained.zero_grad()
        loss = loss_of(network, generator)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            return losses[:-1] + [math.inf] * (steps - len(losses) + 1)
        loss.backward()
        trained.step()
    return losses


def end_of(losses: list[float]) -> float:
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def compare(problem: Problem, optimizer: str, seeds: int, steps: int) -> dict[str, Any]:
    rates = [OPTIMIZERS[optimizer][0] * factor for factor in FACTORS]
    tried = {rate: run(problem, optimizer, rate, 0, steps) for rate in rates}
    best = min(rates, key=lambda rate: end_of(tried[rate]))
    curves = [tried[best], *(run(problem, optimizer, best, seed, steps) for seed in range(1, seeds))]
    ends = sorted(map(end_of, curves))
    return {
        "learning_rate": float(f"{best:.3g}"),
        "loss": round(float(np.median(ends)), 4),
        "lowest_and_highest": [round(ends[0], 4), round(ends[-1], 4)],
        "at_other_rates": {f"{rate:.3g}": round(end_of(losses), 4) for rate, losses in tried.items()},
        "curve": [round(value, 4) for value in smoothed(np.median(curves, axis=0))],
    }


def smoothed(losses: np.ndarray, window: int = 10) -> list[float]:
    """Means of ten steps each."""
    return losses[: len(losses) // window * window].reshape(-1, window).mean(1).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captchas", required=True, help="folder of the captchas")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, dict[str, Any]] = {}
    for problem, parts in all_problems(asked.captchas).items():
        results[problem] = {}
        for optimizer in OPTIMIZERS:
            found = results[problem][optimizer] = compare(parts, optimizer, asked.seeds, asked.steps)
            low, high = found["lowest_and_highest"]
            rate, loss = found["learning_rate"], found["loss"]
            print(f"{problem:38} {optimizer:9} {loss:8.4f} ({low:.4f} to {high:.4f}), lr {rate:g}", flush=True)
    if asked.out:
        facts = {"machine": machine("torch"), "steps": asked.steps, "seeds": asked.seeds, "problems": results}
        asked.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
