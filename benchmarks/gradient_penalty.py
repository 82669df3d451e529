"""What a second derivative costs: a step with a gradient penalty beside one without, on a CPU, one thread.

    python benchmarks/gradient_penalty.py [--rounds 5] [--save]

Processor time of this process, the two steps in turns; the ratio of the medians. `--save` writes
results/gradient_penalty.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from interleaved import seconds_in_turns
from machine import machine
from workloads import SMALL, WORKLOADS, Workload

import seqloss
from seqloss.torch import ctc_loss

RESULTS = Path(__file__).parent / "results" / "gradient_penalty.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seqloss.set_num_threads(1)
    ratios = {}
    for workload in [*SMALL, *WORKLOADS]:
        ratios[workload.name] = round(measure(workload, given.rounds), 1)
        print(f"{workload.name:10} {ratios[workload.name]:6.1f} times as long", flush=True)
    if given.save:
        found = {"machine": machine("torch"), "rounds": given.rounds, "times as long": ratios}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def measure(workload: Workload, rounds: int) -> float:
    scores, labels = workload.draw()
    logits, targets = torch.from_numpy(scores).requires_grad_(), torch.from_numpy(labels)

    def step(*, with_penalty: bool) -> None:
        logits.grad = None
        total = ctc_loss(logits, targets, reduction="mean")
        if with_penalty:
            (gradient,) = torch.autograd.grad(total, logits, create_graph=True)
            total = total + 0.1 * gradient.square().sum()
        total.backward()

    ways = {"plain": lambda: step(with_penalty=False), "penalty": lambda: step(with_penalty=True)}
    seconds = seconds_in_turns(ways, rounds, time.process_time)
    return statistics.median(seconds["penalty"]) / statistics.median(seconds["plain"])


if __name__ == "__main__":
    main()
