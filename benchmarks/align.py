"""`ctc_align` beside torchaudio's `forced_align` on a CPU, one thread each.

    python benchmarks/align.py [--rounds 15] [--most 1e11] [--save]

Needs torchaudio, for example 2.11.0 with torch 2.11.0; without it, only our own times are shown. Both get the same
log-probabilities; "from logits", `log_softmax` is in front of `forced_align`. `forced_align` takes one row per call, so
that a batch is one call per row. The calls take turns, and what is counted is the processor time of this process, since
others may share the machine; each figure is a median with its quartiles. `--most` leaves out workloads of more frames
times states. The paths are compared: they may differ where two are equally good in the float32 sums of `forced_align`,
and so their scores are also summed up in float64.

Fails if `forced_align` finds a better path, or if a workload of a million or more frames times states takes more than a
third of its time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine

import seqloss
from seqloss.torch import ctc_align

try:
    from torchaudio.functional import forced_align
except ImportError:
    forced_align = None

WORKLOADS = {
    "phones": (16, 300, 40, 48),
    "an utterance": (1, 1500, 200, 40),
    "words": (1, 1500, 200, 5000),
    "two minutes": (1, 6000, 1500, 40),
    "ten minutes": (1, 30_000, 7000, 40),
    "just below 2^31": (1, 50_000, 21_000, 40),
    "an hour": (1, 180_000, 40_000, 40),
}
"""Rows, frames, labels and classes."""

CRASHES = 2**31
"""Frames times states from which on `forced_align` ends the process."""

LEAST, LARGE = 3.0, 10**6
"""How many times as fast as `forced_align` it has to be at least, in workloads of so many frames times states."""

FROM_LOGITS = 10**8
"""Frames times states up to which the time from logits is measured too: beyond, it is the same."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--most", type=float, default=1e11)
    options.add_argument("--save", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(1)
    seqloss.set_num_threads(1)
    found = {}
    for name, shape in WORKLOADS.items():
        if shape[1] * (2 * shape[2] + 1) <= given.most:
            found[name] = measure(shape, given.rounds)
            print(name, json.dumps(found[name]), flush=True)
    if given.save:
        result = {"machine": machine("torch", "torchaudio", "numpy", "numba"), "workloads": found}
        path = Path(__file__).parent / "results" / "align.json"
        path.write_text(json.dumps(result, indent=1) + "\n")
    slow = [name for name, row in found.items() if row["cells"] >= LARGE and row.get("ratio", LEAST) < LEAST]
    worse = [name for name, row in found.items() if row.get("better", 0.0) > 1e-9]
    if slow or worse:
        sys.exit(f"less than {LEAST:g} times as fast: {slow}; a worse path: {worse}")


def measure(shape: tuple[int, int, int, int], rounds: int) -> dict[str, object]:
    """Milliseconds of both, and how their paths compare."""
    rows, frames, labels, classes = shape
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, frames, classes, generator=generator)
    log_probs = logits.log_softmax(-1)
    targets = torch.randint(1, classes, (rows, labels), generator=generator, dtype=torch.int32)
    cells = rows * frames * (2 * labels + 1)
    calls = {"seqloss": lambda: ctc_align(log_probs, targets, normalize=False, validate=False).classes}
    if forced_align is not None and cells // rows < CRASHES:
        calls["torchaudio"] = lambda: align_rows(log_probs, targets)
        if cells <= FROM_LOGITS:
            calls["seqloss from logits"] = lambda: ctc_align(logits, targets).classes
            calls["torchaudio from logits"] = lambda: align_rows(logits.log_softmax(-1), targets)
    paths = {name: call() for name, call in calls.items()}  # also the first call, which loads the kernel
    many = max(3, min(rounds, int(3e9 // cells)))
    seconds = time_in_turns(calls, many)
    found = {"shape": shape, "cells": cells, "rounds": many}
    found |= {name: [round(1e3 * q, 3) for q in statistics.quantiles(taken)] for name, taken in seconds.items()}
    for name in calls:
        if name.startswith("torchaudio"):
            ours = seconds[name.replace("torchaudio", "seqloss")]
            found[name.replace("torchaudio", "ratio")] = round(
                statistics.median(seconds[name]) / statistics.median(ours), 2
            )
    if "torchaudio" in paths:
        totals = {name: log_probs.double().gather(2, path.long()[:, :, None]).sum() for name, path in paths.items()}
        found["frames that differ"] = float((paths["torchaudio"] != paths["seqloss"]).double().mean())
        found["better"] = float((totals["torchaudio"] - totals["seqloss"]) / totals["seqloss"].abs())
    return found


def align_rows(log_probs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The paths of `forced_align`, one row at a time."""
    return torch.cat([forced_align(log_probs[n : n + 1], targets[n : n + 1])[0] for n in range(len(targets))])


def time_in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each call."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            seconds[name].append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    main()
