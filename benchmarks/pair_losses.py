"""Losses of embeddings: loss + gradient of seqloss beside a loop over pairs, and beside pytorch-metric-learning.

    python benchmarks/pair_losses.py [--rows 64,256] [--features 128] [--seconds 3] [--out results.json]

Everything runs in PyTorch on one thread, in turns; a time is the median over the rounds, with its quartiles. Each value
is compared with that of the others before anything is timed. A loop over pairs is what is written by hand around a
model. pytorch-metric-learning has no KL loss. Its `TripletMarginLoss` gets the triplets of its miner
in every round, as `CosineTriplet` chooses its own. Once more both are given the same triplets.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import machine

from seqloss.torch import CosineTriplet, PairwiseKLHinge, pick_triplets

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def kl_by_pairs(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A loop over pairs, as it is written by hand."""
    logarithms, total, count = embeddings.log_softmax(1), embeddings.new_zeros(()), 0
    probabilities = logarithms.exp()
    for i in range(len(labels)):
        for j in range(i + 1, len(labels)):
            for p, q in ((i, j), (j, i)):
                divergence = (probabilities[p] * (logarithms[p] - logarithms[q])).sum()
                total = total + (divergence if labels[i] == labels[j] else (1.0 - divergence).clamp(min=0))
            count += 1
    return total / count


def kl_by_broadcasting(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """All pairs in an array of batch x batch x classes."""
    logarithms = embeddings.log_softmax(1)
    divergence = (logarithms.exp()[:, None] * (logarithms[:, None] - logarithms[None])).sum(2)
    same = labels[:, None] == labels
    losses = torch.where(same, divergence, (1.0 - divergence).clamp(min=0))
    others = ~torch.eye(len(labels), dtype=torch.bool)
    return losses[others].sum() / (len(labels) * (len(labels) - 1) / 2)


def triplets_of(embeddings: torch.Tensor, labels: torch.Tensor) -> dict[str, Loss]:
    """`CosineTriplet` and pytorch-metric-learning: of all semi-hard triplets each, and of the same triplets."""
    picked = pick_triplets(embeddings, labels)
    found: dict[str, Loss] = {
        "semi-hard: seqloss": CosineTriplet(0.3),
        "given triplets: seqloss": lambda x, y: CosineTriplet(0.3)(x, y, picked),
    }
    try:
        from pytorch_metric_learning import distances, losses, miners, reducers
    except ImportError:
        return found
    cosine = distances.CosineSimilarity()
    theirs = losses.TripletMarginLoss(0.3, distance=cosine, reducer=reducers.MeanReducer())
    miner = miners.TripletMarginMiner(0.3, "semihard", distance=cosine)
    return found | {
        "semi-hard: pytorch-metric-learning": lambda x, y: theirs(x, y, miner(x, y)),
        "given triplets: pytorch-metric-learning": lambda x, y: theirs(x, y, picked),
    }


def contestants(embeddings: torch.Tensor, labels: torch.Tensor, rows: int) -> dict[str, Loss]:
    found: dict[str, Loss] = {
        "pairwise KL: seqloss": PairwiseKLHinge(),
        "pairwise KL: batch x batch x classes": kl_by_broadcasting,
    }
    if rows <= 64:
        found["pairwise KL: loop over pairs"] = kl_by_pairs
    return found | triplets_of(embeddings, labels)


def milliseconds(loss: Loss, embeddings: torch.Tensor, labels: torch.Tensor) -> float:
    embeddings.grad = None
    start = time.perf_counter_ns()
    loss(embeddings, labels).backward()
    return 1e-6 * (time.perf_counter_ns() - start)


def check_values(losses: dict[str, Loss], embeddings: torch.Tensor, labels: torch.Tensor) -> None:
    """Losses of one kind agree. Semi-hard differs: pytorch-metric-learning takes all such negatives of a pair."""
    first: dict[str, float] = {}
    for name, loss in losses.items():
        kind, value = name.partition(":")[0], loss(embeddings, labels).item()
        if kind != "semi-hard" and abs(first.setdefault(kind, value) - value) > 1e-4 * abs(value):
            raise SystemExit(f"{name}: {value}, expected {first[kind]}")


def measure(losses: dict[str, Loss], embeddings: torch.Tensor, labels: torch.Tensor, seconds: float) -> dict[str, list]:
    times: dict[str, list[float]] = {name: [] for name in losses}
    for loss in losses.values():
        milliseconds(loss, embeddings, labels)
    end = time.perf_counter() + seconds * len(losses)
    while time.perf_counter() < end or len(min(times.values(), key=len)) < 3:
        for name, loss in losses.items():
            times[name].append(milliseconds(loss, embeddings, labels))
    return {name: [round(float(q), 4) for q in np.percentile(found, [25, 50, 75])] for name, found in times.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", default="64,256")
    options.add_argument("--features", type=int, default=128)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    torch.set_num_threads(1)
    results = {}
    for rows in map(int, asked.rows.split(",")):
        embeddings = torch.randn(rows, asked.features, generator=torch.Generator().manual_seed(0)).requires_grad_()
        labels = torch.arange(rows) % max(rows // 4, 2)
        losses = contestants(embeddings, labels, rows)
        check_values(losses, embeddings, labels)
        results[str(rows)] = measure(losses, embeddings, labels, asked.seconds)
        for name, (low, median, high) in results[str(rows)].items():
            print(f"{rows:5} rows  {name:40} {median:10.3f} ms  ({low:.3f} to {high:.3f})", flush=True)
    if asked.out:
        packages = machine("torch", "pytorch-metric-learning", "numpy")
        record = {**packages, "features": asked.features, "milliseconds, quartiles": results}
        asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
