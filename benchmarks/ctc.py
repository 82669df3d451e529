"""Loss + gradient from logits on the CPU: seqloss beside torch and optax, in one run, on one CPU.

    python benchmarks/ctc.py [--rounds 7] [--only ocr,phone] [--save]

Each implementation is checked before it is timed: its gradient is held against torch's in float64, and the
worst error is shown, absolute and relative to the largest entry of the same frame. The implementations take
turns within a round, so that a slow phase of the machine meets all of them; medians over the rounds, with the
quartiles as spread. `--save` writes benchmarks/results/ctc-cpu.json with machine, versions and commit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import optax
import torch
from machine import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table
from workloads import WORKLOADS, Workload

import seqloss
import seqloss.jax
import seqloss.numpy
import seqloss.torch
from seqloss import contract
from seqloss.kernels.cpu import loss_and_grad

ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""What our float32 gradient may err by, against float64."""


def torch_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    logits = torch.tensor(scores, requires_grad=True)
    labels = torch.tensor(targets)
    lengths = torch.full((scores.shape[0],), scores.shape[1]), torch.full((len(targets),), targets.shape[1])

    def call() -> np.ndarray:
        logits.grad = None
        log_probs = logits.log_softmax(-1).transpose(0, 1)
        torch.nn.functional.ctc_loss(log_probs, labels, *lengths, reduction="none").sum().backward()
        return logits.grad.numpy()

    return call


def kernel(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    batch = contract.validate(scores.shape, targets)
    return lambda: loss_and_grad(scores, batch)[2]


def door(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    logits, labels = torch.tensor(scores, requires_grad=True), torch.tensor(targets)

    def call() -> np.ndarray:
        logits.grad = None
        seqloss.torch.ctc_loss(logits, labels, reduction="sum").backward()
        return logits.grad.numpy()

    return call


def numpy_door(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: seqloss.numpy.ctc_loss_and_grad(scores, targets)[1]


def jitted(loss: Callable[..., jax.Array], *arrays: np.ndarray) -> Callable[[], np.ndarray]:
    """Value and gradient of the summed loss, compiled before anything is timed."""
    given = [jax.numpy.asarray(array) for array in arrays]
    compiled = jax.jit(jax.value_and_grad(lambda *args: loss(*args).sum())).lower(*given).compile()
    return lambda: np.asarray(jax.block_until_ready(compiled(*given))[1])


def jax_door(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    return jitted(seqloss.jax.ctc_loss, scores, targets)


def optax_loss_and_grad(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    frames, labels = (np.zeros(array.shape[:2], np.float32) for array in (scores, targets))
    return jitted(lambda x, t: optax.ctc_loss(x, frames, t, labels), scores, targets)


def softmax(scores: np.ndarray, targets: np.ndarray) -> Callable[[], np.ndarray]:
    logits = torch.tensor(scores)
    return lambda: torch.softmax(logits, -1).numpy()


CONTESTANTS = {
    "seqloss kernel": kernel,
    "seqloss.numpy": numpy_door,
    "seqloss.torch": door,
    "seqloss.jax": jax_door,
    "torch": torch_loss_and_grad,
    "optax (jit)": optax_loss_and_grad,
    "torch.softmax": softmax,
}


def errors(found: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """Worst absolute error, and worst relative to the largest entry of the same frame."""
    worst = np.abs(found - exact).max(-1)
    return float(worst.max()), float((worst / np.abs(exact).max(-1)).max())


def measure(workload: Workload, rounds: int) -> dict[str, dict[str, float]]:
    scores, targets = workload.draw()
    exact = torch_loss_and_grad(scores.astype(np.float64), targets)()
    calls = {name: make(scores, targets) for name, make in CONTESTANTS.items()}
    rows: dict[str, dict[str, float]] = {}
    for name, call in calls.items():
        result = call()  # warm
        rows[name] = {}
        if name != "torch.softmax":
            rows[name]["absolute"], rows[name]["relative"] = errors(result, exact)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    for name, row in rows.items():
        row["low"], row["median"], row["high"] = np.percentile(times[name], [25, 50, 75])
    return rows


def table(results: dict[str, dict[str, dict[str, float]]]) -> Table:
    shown = Table(
        "workload",
        "implementation",
        "ms (quartiles)",
        "times torch",
        "worst gradient error",
        "of the frame's largest",
        title="CTC loss + gradient from logits, float32, one CPU",
    )
    for workload, rows in results.items():
        for name, row in rows.items():
            shown.add_row(
                workload if name == next(iter(rows)) else "",
                name,
                f"{row['median']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
                f"{rows['torch']['median'] / row['median']:.1f}",
                f"{row['absolute']:.1e}" if "absolute" in row else "",
                f"{row['relative']:.1e}" if "relative" in row else "",
                end_section=name == list(rows)[-1],
            )
    return shown


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--only", default=",".join(workload.name for workload in WORKLOADS))
    options.add_argument("--save", action="store_true")
    asked = options.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX counts them
    torch.set_num_threads(1)
    chosen = [workload for workload in WORKLOADS if workload.name in asked.only.split(",")]
    console = Console(width=None if sys.stdout.isatty() else 120)
    results = {
        workload.name: measure(workload, asked.rounds)
        for workload in track(chosen, "measuring", console=Console(stderr=True), transient=True)
    }
    console.print(table(results))
    facts = machine("numpy", "numba", "torch", "jax", "optax")
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if asked.save:
        target = Path(__file__).parent / "results" / "ctc-cpu.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps({"machine": facts, "milliseconds": results}, indent=2) + "\n")
    wrong = [
        f"{workload}: {name}"
        for workload, rows in results.items()
        for name, row in rows.items()
        if name.startswith("seqloss") and (row["absolute"] > ABSOLUTE or row["relative"] > RELATIVE)
    ]
    if wrong:
        sys.exit(f"gradient off by more than {ABSOLUTE} or {RELATIVE} of the frame's largest: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
