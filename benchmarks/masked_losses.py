"""Time and memory of the losses of real steps in PyTorch, beside what people write by hand.

    python benchmarks/masked_losses.py [--calls 15] [--threads 1] [--write]

Each case is a batch with its padding. The contestants take turns, so that a change of the machine's speed meets all of
them. Each gives the same value before anything is measured. `ignore_index` is PyTorch's own way; `mask after`
multiplies the losses of all steps by the mask, as most code does (NaN in padding becomes NaN in its gradient); `row by
row` is a Python loop over rows that are cut to their lengths. Memory is what a process has at most beside the scores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from machine import machine

from seqloss.torch import masked_cross_entropy, masked_squared_error, time_weighted

RESULTS = Path(__file__).parent / "results" / "masked_losses.json"
SHAPES = {"characters": (128, 60, 64), "words": (16, 100, 8000), "frames": (64, 500, 80)}
"""Name of a case: batch, time, classes or features."""

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def real_steps(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.arange(x.shape[1]) < lengths[:, None]


def ignore_index(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(x.transpose(1, 2), torch.where(real_steps(x, lengths), y, -100))


def masked_after(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    real = real_steps(x, lengths)
    return (F.cross_entropy(x.transpose(1, 2), y, reduction="none") * real).sum() / real.sum()


def row_by_row(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    rows = zip(x, y, lengths.tolist(), strict=True)
    return sum(F.cross_entropy(a[:n], b[:n], reduction="sum") for a, b, n in rows) / lengths.sum()  # type: ignore[return-value]


def squared_after(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    real = real_steps(x, lengths)
    return ((x - y).square().mean(2) * real).sum() / real.sum()


def squared_row_by_row(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    rows = zip(x, y, lengths.tolist(), strict=True)
    return sum((a[:n] - b[:n]).square().mean(1).sum() for a, b, n in rows) / lengths.sum()  # type: ignore[return-value]


def weighted_by_hand(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    real = real_steps(x, lengths)
    per_step = (x - y).square().mean(2) * torch.arange(1, x.shape[1] + 1).sqrt()
    return (per_step * real).sum() / real.sum()


def weighted(x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return time_weighted(masked_squared_error(x, y, lengths, reduction="none"), lengths)


CROSS_ENTROPY: dict[str, Loss] = {
    "seqloss": masked_cross_entropy,
    "ignore_index": ignore_index,
    "mask after": masked_after,
    "row by row": row_by_row,
}
CASES: dict[str, dict[str, Loss]] = {
    "characters": CROSS_ENTROPY,
    "words": CROSS_ENTROPY,
    "frames": {"seqloss": masked_squared_error, "mask after": squared_after, "row by row": squared_row_by_row},
    "frames, weighted": {"seqloss": weighted, "mask after": weighted_by_hand},
}


def make_batch(case: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores or predictions, targets, and lengths from a third of the time axis to all of it."""
    generator = torch.Generator().manual_seed(0)
    batch, time_axis, classes = SHAPES[case.partition(",")[0]]
    x = torch.randn(batch, time_axis, classes, generator=generator)
    labels = torch.randint(0, classes, (batch, time_axis), generator=generator)
    y = torch.randn(x.shape, generator=generator) if case.startswith("frames") else labels
    return x.requires_grad_(), y, torch.randint(time_axis // 3, time_axis + 1, (batch,), generator=generator)


def seconds_of(loss: Loss, x: torch.Tensor, y: torch.Tensor, lengths: torch.Tensor) -> float:
    x.grad = None
    start = time.perf_counter()
    loss(x, y, lengths).backward()
    return time.perf_counter() - start


def compare(case: str, calls: int) -> dict[str, dict[str, float]]:
    batch, contestants = make_batch(case), CASES[case]
    with torch.no_grad():
        values = torch.stack([loss(*batch) for loss in contestants.values()])
    torch.testing.assert_close(values, values[:1].expand_as(values), rtol=1e-5, atol=0)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for call in range(calls + 2):
        for name, loss in contestants.items():
            spent = seconds_of(loss, *batch)
            if call >= 2:
                seconds[name].append(spent)
    return {
        name: {
            "ms": 1e3 * statistics.median(spent),
            "fastest_ms": 1e3 * min(spent),
            "mb": memory_of(case, name),
        }
        for name, spent in seconds.items()
    }


def memory_of(case: str, name: str) -> float:
    """Megabytes at most beside the batch, in a process of its own."""
    found = subprocess.run(
        [sys.executable, __file__, "--memory", case, name], capture_output=True, text=True, check=True
    )
    return float(found.stdout)


def print_memory(case: str, name: str) -> None:
    """VmHWM of this process after a call, less what it had before; a small call loads everything first."""
    batch = make_batch(case)
    CASES[case][name](*(part[:1] for part in batch)).backward()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    CASES[case][name](*batch).backward()
    print((resident("VmHWM") - before) / 1e3)


def resident(field: str) -> float:
    """Kilobytes."""
    return float(Path("/proc/self/status").read_text().partition(f"{field}:")[2].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", nargs=2, metavar=("CASE", "NAME"), help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory:
        print_memory(*options.memory)
        return
    found = {case: compare(case, options.calls) for case in CASES}
    for case, names in found.items():
        for name, figures in names.items():
            print(f"{case:18} {name:14}" + "".join(f"  {key} {value:9.2f}" for key, value in figures.items()))
    if options.write:
        result = {"machine": machine("torch"), "threads": options.threads, "calls": options.calls, "cases": found}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
