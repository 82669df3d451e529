"""Loss + gradient from logits on the CPU: seqloss beside its peers, in one run.

    python benchmarks/ctc.py [--rounds 7] [--only ocr,phone] [--save [NAME]] [--picture]

Each implementation is checked before it is timed: its gradient is held against torch's in float64, and the
worst error is shown, absolute and relative to the largest entry of the same frame. The implementations take
turns within a round, so that a slow phase of the machine meets all of them; medians over the rounds, with the
quartiles as spread. All on one CPU, but for the last table: there the kernel has one thread or two, and two CPUs.

Scores are 3 N(0, 1), and beside them those of a model that has learnt: blanks, and here and there a peak for a label.
Keras and TensorFlow are left out of `long`, where they do not end in ten minutes, and of learnt scores. `--save` writes
benchmarks/results/ctc-cpu-NAME.json with machine, versions and commit, NAME being avx2, avx512 or other unless given;
`--picture` draws docs/img/ctc-cpu.svg from that of avx2, avx512 or other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from cpu_contestants import CONTESTANTS, FORWARD, Call, kernel, torch_loss_and_grad
from machine import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table
from workloads import SMALL, WORKLOADS, Workload

import seqloss

ABSOLUTE, RELATIVE = 1e-6, 1e-5
"""What our float32 gradient may err by, against float64."""

FEATURES = Path("/proc/cpuinfo").read_text().split()
WIDEST = next((name for flag, name in (("avx512f", "avx512"), ("avx2", "avx2")) if flag in FEATURES), "other")
RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parents[1] / "docs" / "img" / "ctc-cpu.svg"
SHORT = 20.0
"""Milliseconds that are timed together."""

SLOW = ("Keras (JAX, jit)", "tf.nn (graph)")


def measure_forward(scores: np.ndarray, targets: np.ndarray, rounds: int) -> dict[str, dict[str, float]]:
    exact = FORWARD["torch"](scores.astype(np.float64), targets)()
    calls = {name: make(scores, targets) for name, make in FORWARD.items()}
    for name, call in calls.items():
        if not np.allclose(call(), exact, rtol=1e-5):
            sys.exit(f"forward: {name} is off by {np.abs(call() - exact).max()}")
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(milliseconds(call))
    return {
        name: dict(zip(("low", "median", "high"), np.percentile(found, [25, 50, 75]).tolist(), strict=True))
        for name, found in times.items()
    }


def errors(found: np.ndarray, exact: np.ndarray) -> tuple[float, float]:
    """Worst absolute error, and worst relative to the largest entry of the same frame."""
    worst = np.abs(found - exact).max(-1)
    return float(worst.max()), float((worst / np.abs(exact).max(-1)).max())


def milliseconds(call: Call) -> float:
    """Of one call after another, as in a loop that trains: its own memory is at hand. Short ones are timed together."""
    call()
    start = time.perf_counter()
    call()
    first = 1e3 * (time.perf_counter() - start)
    many = int(SHORT / first)
    if not many:
        return first
    start = time.perf_counter()
    for _ in range(many):
        call()
    return 1e3 * (time.perf_counter() - start) / many


def allowed(name: str, rows: dict[str, dict[str, float]]) -> float:
    """The drop-in gets log-probabilities that torch has rounded: it may err by as much as torch."""
    return rows["torch"]["relative"] if name == "seqloss.torch.CTCLoss" else RELATIVE


def measure(scores: np.ndarray, targets: np.ndarray, rounds: int, names: Iterable[str]) -> dict[str, dict[str, float]]:
    exact = torch_loss_and_grad(scores.astype(np.float64), targets)()
    rows: dict[str, dict[str, float]] = {}
    calls: dict[str, Call] = {}
    for name in names:
        call = CONTESTANTS[name](scores, targets)
        result = call()  # warm
        calls[name], rows[name] = call, {}
        if name != "torch.softmax":
            rows[name]["absolute"], rows[name]["relative"] = errors(result, exact)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(milliseconds(call))
    for name, row in rows.items():
        row["low"], row["median"], row["high"] = np.percentile(times[name], [25, 50, 75])
    return rows


def scaling(workload: Workload, rounds: int) -> dict[str, float]:
    """Medians of the kernel's milliseconds with one thread and with two, which take turns."""
    call = kernel(*workload.draw())
    times: dict[str, list[float]] = {"1": [], "2": []}
    for turn in range(2 * (3 * rounds + 1)):
        count = 1 + turn % 2
        seqloss.set_num_threads(count)
        times[str(count)].append(milliseconds(call))
    return {count: float(np.median(found[1:])) for count, found in times.items()}


def table(results: dict[str, dict[str, dict[str, float]]], title: str) -> Table:
    shown = Table(
        "workload",
        "implementation",
        "ms (quartiles)",
        "times torch",
        "worst gradient error",
        "of the frame's largest",
        title=title,
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


def ratios(results: dict[str, dict[str, dict[str, float]]]) -> Table:
    """How many times as fast as each peer the kernel is, and what the frontends leave of that."""
    shown = Table("the kernel is", *results, "geometric mean", title="ratios")
    for peer in ("torch", "optax (jit)", "Keras (JAX, jit)", "tf.nn (graph)"):
        found = {
            name: rows[peer]["median"] / rows["seqloss kernel"]["median"]
            for name, rows in results.items()
            if peer in rows
        }
        small = {workload.name for workload in SMALL}
        kept = [value for name, value in found.items() if name != "bpe5k" and name not in small]
        mean = f"{np.exp(np.mean(np.log(kept))):.1f} (without bpe5k)" if kept else ""
        shown.add_row(f"times {peer}", *(f"{found[name]:.1f}" if name in found else "-" for name in results), mean)
    of_softmax = (
        f"{rows['seqloss kernel']['median'] / rows['torch.softmax']['median']:.2f}" for rows in results.values()
    )
    shown.add_row("of torch.softmax's time", *of_softmax, "")
    for frontend in [name for name in CONTESTANTS if name.startswith("seqloss.")]:
        left = (f"{rows['seqloss kernel']['median'] / rows[frontend]['median']:.2f}" for rows in results.values())
        shown.add_row(f"{frontend} has of its speed", *left, "")
    return shown


def picture(saved: dict) -> None:
    """Times torch, as bars."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    results = saved["milliseconds"]
    shown = {"torch": "#777777", "optax (jit)": "#9ab3cc", "Keras (JAX, jit)": "#c3b6d6", "seqloss kernel": "#1f6f8b"}
    with plt.rc_context({"font.family": "sans-serif", "svg.hashsalt": "seqloss", "font.size": 11}):
        figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
        for place, (name, colour) in enumerate(shown.items()):
            for x, rows in enumerate(results.values()):
                if name not in rows:
                    continue
                ratio = rows["torch"]["median"] / rows[name]["median"]
                at = x + 0.2 * (place - 1.5)
                axes.bar(at, ratio, 0.19, color=colour, label=name if not x else None)
                bold = "bold" if name == "seqloss kernel" else "normal"
                text = f"{ratio:.0f}" if ratio >= 10 or name == "torch" else f"{ratio:.1f}"
                axes.text(at, ratio + 0.8, text, ha="center", color=colour, fontweight=bold, fontsize=9)
        sizes = {w.name: f"{w.frames} frames\n{w.classes} classes\n{w.labels} labels" for w in WORKLOADS}
        axes.set_xticks(range(len(results)), [f"{name}\n{sizes[name]}" for name in results])
        axes.set_ylabel("times as fast as torch")
        axes.set_title("CTC loss and gradient from logits, float32, one CPU", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left")
        figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--only", default=",".join(workload.name for workload in [*WORKLOADS, *SMALL]))
    options.add_argument("--save", nargs="?", const=WIDEST, metavar="NAME")
    options.add_argument("--picture", action="store_true")
    asked = options.parse_args()
    if asked.picture:
        picture(json.loads((RESULTS / f"ctc-cpu-{WIDEST}.json").read_text()))
        return
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    cpus = sorted(os.sched_getaffinity(0))
    chosen = [workload for workload in [*WORKLOADS, *SMALL] if workload.name in asked.only.split(",")]
    console, progress = Console(width=None if sys.stdout.isatty() else 130), Console(stderr=True)
    threads = {workload.name: scaling(workload, asked.rounds) for workload in chosen if len(cpus) > 1}
    os.sched_setaffinity(0, cpus[:1])  # before JAX counts them
    torch.set_num_threads(1)
    seqloss.set_num_threads(1)
    results, learnt, forward = {}, {}, {}
    for workload in track(chosen, "measuring", console=progress, transient=True):
        names = [name for name in CONTESTANTS if workload.name != "long" or name not in SLOW]
        results[workload.name] = measure(*workload.draw(), asked.rounds, names)
        names = [name for name in CONTESTANTS if name not in SLOW]
        learnt[workload.name] = measure(*workload.learnt(), asked.rounds, names)
        forward[workload.name] = measure_forward(*workload.draw(), asked.rounds)
    console.print(table(results, "CTC loss + gradient from logits, float32, one CPU"))
    console.print(ratios(results))
    console.print(table(learnt, "the same, scores of a model that has learnt"))
    console.print(ratios(learnt))
    console.print(table(forward, "the losses of log-probabilities alone"))
    for name, found in threads.items():
        console.print(
            f"{name}: {found['1']:.2f} ms with one thread, {found['1'] / found['2']:.2f} times as fast with two"
        )
    facts = machine("numpy", "numba", "torch", "jax", "optax", "keras", "tensorflow-cpu")
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()))
    if asked.save:
        saved = {"machine": facts, "milliseconds": results, "learnt": learnt, "forward": forward, "threads": threads}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"ctc-cpu-{asked.save}.json").write_text(json.dumps(saved, indent=2) + "\n")
    wrong = [
        f"{workload}: {name}"
        for found in (results, learnt)
        for workload, rows in found.items()
        for name, row in rows.items()
        if name.startswith("seqloss") and (row["absolute"] > ABSOLUTE or row["relative"] > allowed(name, rows))
    ]
    if wrong:
        sys.exit(f"gradient off by more than {ABSOLUTE} or {RELATIVE} of the frame's largest: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
