"""The losses beside CTC, next to what people use now: time and memory of value and gradient on a CPU, one thread.

    python benchmarks/losses.py [--only NAME] [--rounds 9] [--save]

The contestants of an entry get the same arrays and take turns; what is counted is the processor time of this process,
since others may share the machine, as a median with its quartiles. Their losses and gradients are compared before
anything is timed. Memory is the peak of one call beside its arguments, in a process of its own. `--save` writes
results/losses.json, and keeps what it has of other entries.

Fails if a loss of ours is less than `least` times as fast as another contestant, or needs more memory than
`most_bytes`.

A further loss is a function that returns an `Entry`, in `ENTRIES`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import numpy as np
import torch
from interleaved import seconds_in_turns
from machine import machine

import seqloss
import seqloss.numpy
import seqloss.torch

RESULTS = Path(__file__).parent / "results" / "losses.json"
Call = Callable[[], tuple[Any, Any]]
"""Value and gradient, as something that NumPy can read."""


@dataclass(frozen=True)
class Entry:
    """One loss on one workload.

    Attributes:
        ours: contestants of seqloss.
        others: for each of ours, the contestants that it is measured against.
        least: how many times as fast as each of these it has to be.
        most_bytes: what a call of ours may need beside its arguments; None for no bound.
    """

    ours: dict[str, Call]
    others: dict[str, dict[str, Call]] = field(default_factory=dict)
    least: float = 1.0
    most_bytes: float | None = None

    @property
    def calls(self) -> dict[str, Call]:
        return {**self.ours, **{name: call for calls in self.others.values() for name, call in calls.items()}}


def soft_nearest_neighbor(count: int, dimensions: int = 128, *, whole: bool = True) -> Entry:
    """Points from a normal distribution with ten random labels."""
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(count, dimensions)).astype(np.float32), rng.integers(0, 10, count)
    heat, x, y = 10.0, torch.from_numpy(points), torch.from_numpy(labels)

    def on_numpy() -> tuple[Any, Any]:
        return seqloss.numpy.soft_nearest_neighbor_and_grad(points, labels, temperature=heat)[:2]

    def on_torch() -> tuple[Any, Any]:
        return _backward(lambda z: seqloss.torch.soft_nearest_neighbor(z, y, temperature=heat), x)

    ours: dict[str, Call] = {"seqloss.numpy": on_numpy, "seqloss.torch": on_torch}
    if not whole:
        return Entry(ours, most_bytes=2.0**30)
    others: dict[str, dict[str, Call]] = {
        "seqloss.numpy": {"NumPy, whole matrix": lambda: _whole_matrix_on_numpy(points, labels, heat)},
        "seqloss.torch": {"torch, whole matrix": lambda: _backward(lambda z: _whole_matrix_on_torch(z, y, heat), x)},
    }
    return Entry(ours, others, least=3.0)


def _backward(loss: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[Any, Any]:
    z = x.detach().requires_grad_()
    found = loss(z)
    found.backward()
    return found.detach().numpy(), z.grad.numpy() if z.grad is not None else None


def _whole_matrix_on_torch(x: torch.Tensor, y: torch.Tensor, temperature: float) -> torch.Tensor:
    """The formula on all pairs, stable, as one writes it with PyTorch's operators."""
    squares = (x * x).sum(1)
    scores = (2 * x @ x.T - squares[:, None] - squares[None]) / temperature
    scores = scores.masked_fill(torch.eye(len(x), dtype=torch.bool), -torch.inf)
    of_class = scores.masked_fill(y[:, None] != y[None], -torch.inf)
    return (scores.logsumexp(1) - of_class.logsumexp(1)).mean()


def _whole_matrix_on_numpy(x: np.ndarray, y: np.ndarray, temperature: float) -> tuple[Any, Any]:
    """The same, with the gradient derived by hand."""
    squares = (x * x).sum(1)
    scores = (2 * x @ x.T - squares[:, None] - squares[None]) / np.float32(temperature)
    np.fill_diagonal(scores, -np.inf)
    of_class = np.where(y[:, None] == y[None], scores, -np.inf)
    parts = []
    for kind in (scores, of_class):
        largest = kind.max(1, keepdims=True)
        terms = np.exp(kind - largest)
        total = terms.sum(1, keepdims=True)
        parts.append((largest + np.log(total), terms / total))
    slope = (parts[0][1] - parts[1][1]) / np.float32(len(x) * temperature)
    slope += slope.T.copy()
    return (parts[0][0] - parts[1][0]).mean(), 2 * (slope @ x - slope.sum(1, keepdims=True) * x)


ENTRIES: dict[str, Callable[[], Entry]] = {
    "soft nearest neighbour, 1,000 x 128": lambda: soft_nearest_neighbor(1000),
    "soft nearest neighbour, 4,000 x 128": lambda: soft_nearest_neighbor(4000),
    "soft nearest neighbour, 20,000 x 128": lambda: soft_nearest_neighbor(20_000, whole=False),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", help="entries whose name contains this")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--save", action="store_true")
    options.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)  # an entry and a contestant, for a child process
    given = options.parse_args()
    torch.set_num_threads(1)
    seqloss.set_num_threads(1)
    if given.peak:
        print(peak(*given.peak))
        return
    found = {name: measure(name, given.rounds) for name in ENTRIES if given.only in name}
    if given.save:
        before = json.loads(RESULTS.read_text(encoding="utf-8"))["entries"] if RESULTS.exists() else {}
        result = {"machine": machine("numpy", "torch"), "entries": before | found}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    failed = [f"{name}: {fault}" for name, row in found.items() for fault in row["faults"]]
    if failed:
        sys.exit("\n".join(failed))


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Milliseconds and peaks of all contestants of an entry, and where ours are too slow or too large."""
    entry = ENTRIES[name]()
    _compare(entry)
    many = rounds if entry.others else min(rounds, 1)
    seconds = seconds_in_turns(entry.calls, many, time.process_time)
    peaks = {contestant: _peak_in_child(name, contestant) for contestant in entry.calls}
    row: dict[str, Any] = {"rounds": many, "contestants": {}, "ratios": {}, "faults": []}
    for contestant, taken in seconds.items():
        quartiles = statistics.quantiles(taken) if len(taken) > 1 else taken * 3
        milliseconds = [round(1e3 * quartile, 2) for quartile in quartiles]
        row["contestants"][contestant] = {"milliseconds": milliseconds, "MiB": round(peaks[contestant] / 2**20, 1)}
    for ours, others in entry.others.items():
        for other in others:
            ratio = statistics.median(seconds[other]) / statistics.median(seconds[ours])
            row["ratios"][f"{ours} / {other}"] = round(ratio, 2)
            if ratio < entry.least:
                row["faults"].append(f"{ours} is {ratio:.2f} times as fast as {other}, expected {entry.least:g}")
    for ours in entry.ours:
        if entry.most_bytes is not None and peaks[ours] > entry.most_bytes:
            row["faults"].append(f"{ours} needs {peaks[ours] / 2**20:.0f} MiB")
    print(name, json.dumps(row), flush=True)
    return row


def _compare(entry: Entry) -> None:
    """Raise unless all contestants give one loss and one gradient."""
    first, *others = ([np.asarray(part, np.float64) for part in call()] for call in entry.calls.values())
    for other in others:
        np.testing.assert_allclose(other[0], first[0], rtol=1e-5)
        np.testing.assert_allclose(other[1], first[1], rtol=1e-3, atol=1e-4 * np.abs(first[1]).max())


def _peak_in_child(entry: str, contestant: str) -> int:
    command = [sys.executable, __file__, "--peak", entry, contestant]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak(entry: str, contestant: str) -> int:
    """Bytes that a call takes at most beside what the process has before it. Linux alone."""
    call = ENTRIES[entry]().calls[contestant]
    soft_nearest_neighbor(64).calls.get(contestant, call)()  # libraries are loaded
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
