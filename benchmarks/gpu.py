"""Loss + gradient from logits on a CUDA device: seqloss beside its peers, in one run.

    python benchmarks/gpu.py [--rounds 15] [--only ocr,phone] [--save]

Each is warm, and checked before it is timed: its gradient against the float64 kernel on the CPU, row by row as far as
they fit into memory. All take turns within a round and are timed by CUDA events, many calls together where they are
short, over enough sets of inputs that a cache does not hold them; medians over the rounds, quartiles as spread. JAX's
are timed by the host's clock, and only if JAX sees the device.

The floor is the time that memory needs to read the logits twice and to write the gradient once, at the bandwidth of a
large copy, measured in the same run. Each kernel's share is taken when all is timed: from then on the profiler makes
every launch take longer. `--save` writes benchmarks/results/<device>.json with machine, versions and commit, and
docs/img/gpu-<device>.svg.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import torch
import typer
from gpu_contestants import CONTESTANTS, EVERY, Inputs, inputs, jax_calls, kind_of, seqloss_torch
from gpu_figures import PICTURES, RESULTS, Figures, kernels, memory, picture, short, slug, times, wrong
from machine import machine
from rich.console import Console
from rich.progress import track
from workloads import Workload

from seqloss import contract
from seqloss.kernels.ctc.batch import loss_and_grad

TOGETHER = 20.0
"""Milliseconds that are timed together."""
WARM = 5
"""Calls before a turn's own: after another's turn the host's caches and threads have to find back."""
CHECKED = 1 << 26
"""Scores that are held against float64 at the most."""
SERIAL = "_sums_kernel"
"""The kernel that goes frame by frame."""
NO_DEVICE = "No CUDA device: benchmarks/gpu.py measures nothing here. benchmarks/ctc.py measures on the CPU."

Clock = Callable[[Callable[[], object], int], float]


def by_events(call: Callable[[], object], many: int) -> float:
    """Milliseconds a call, by the device."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(many):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / many


def by_the_host(call: Callable[[], object], many: int) -> float:
    start = time.perf_counter()
    for _ in range(many):
        call()
    return 1e3 * (time.perf_counter() - start) / many


def bandwidth() -> float:
    """GB/s of a copy of 1 GiB, what is read and what is written both counted."""
    source = torch.randn(1 << 28, device="cuda")
    target = torch.empty_like(source)
    found = [by_events(lambda: target.copy_(source), 4) for _ in range(11)]
    return 2 * source.nbytes / np.median(found[1:]) / 1e6


def errors(gradient: torch.Tensor, given: Inputs) -> tuple[float, float]:
    """Worst error against float64, absolute and of the largest entry of its row, over as many rows as are checked."""
    logits, targets = given
    rows = max(1, min(len(logits), CHECKED // (logits.shape[1] * logits.shape[2])))
    scores = logits[:rows].detach().double().cpu().numpy()
    _, _, exact = loss_and_grad(scores, contract.validate(scores.shape, targets[:rows].cpu().numpy()))
    worst = np.abs(gradient[:rows].double().cpu().numpy() - exact).max(-1)
    return float(worst.max()), float((worst / np.abs(exact).max(-1)).max())


def peak(call: Callable[[], object], logits: torch.Tensor) -> int:
    """Bytes that a call holds at the most, beside the gradient."""
    torch.cuda.synchronize()
    logits.grad = None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return max(0, torch.cuda.max_memory_allocated() - before - logits.nbytes)


def kernel_times(call: Callable[[], object], calls: int = 5) -> dict[str, float]:
    """Milliseconds a call that each kernel takes; nothing where the profiler cannot see the device."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    found = {event.key: event.self_device_time_total / 1e3 / calls for event in profile.key_averages()}
    return {name: spent for name, spent in found.items() if spent > 0.0}


def drawn(workload: Workload) -> tuple[int, list[Inputs]]:
    """Bytes of its logits, and sets of inputs, more than a cache holds."""
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    size = workload.batch * workload.frames * workload.classes * kind_of(workload).itemsize
    return size, inputs(workload, sets=max(1, min(16, -(-2 * cache // size))))


def measure(workload: Workload, rounds: int, gigabytes: float) -> Figures:
    """One workload's figures.

    Returns:
        shape, dtype, bytes of the logits, floor in ms; milliseconds by contestant: low, median, high, absolute and
        relative error, of torch's ones peak in bytes; what `profile` fills in.
    """
    size, given = drawn(workload)
    rows: dict[str, dict[str, float]] = {}
    calls: dict[str, tuple[Callable[[], object], Clock]] = {}
    for name, contestant in CONTESTANTS.items():
        try:
            call = contestant(given[:1])
            if call is None:
                continue
            rows[name] = dict(zip(("absolute", "relative"), errors(call(), given[0]), strict=True))
            if "graph" not in name:
                rows[name]["peak"] = peak(call, given[0][0])
            calls[name] = contestant(given) or call, by_events
        except RuntimeError as error:  # too little memory, or what a peer refuses: the others are measured all the same
            rows.pop(name, None)
            print(f"{workload.name}: {name} does not run: {str(error)[:200]}", file=sys.stderr)
    for name, jax_call in jax_calls(workload, given[0]):
        found = torch.from_numpy(np.array(jax_call()))
        rows[name] = dict(zip(("absolute", "relative"), errors(found, given[0]), strict=True))
        calls[name] = jax_call, by_the_host
    spent: dict[str, list[float]] = {name: [] for name in calls}
    many = {}
    for name, (call, clock) in calls.items():
        clock(call, WARM)
        many[name] = max(1, int(TOGETHER / clock(call, WARM)))
    for _ in range(rounds):
        for name, (call, clock) in calls.items():
            clock(call, WARM)
            spent[name].append(clock(call, many[name]))
    for name, row in rows.items():
        row["low"], row["median"], row["high"] = map(float, np.percentile(spent[name], [25, 50, 75]))
    return {
        "shape": f"{workload.frames}, {workload.batch}, {workload.classes}, {workload.labels}",
        "dtype": str(kind_of(workload)).removeprefix("torch."),
        "bytes": size,
        "floor": 3 * size / gigabytes / 1e6,
        "milliseconds": rows,
        "kernels": {},
        "serial": None,
    }


def profile(workload: Workload, figures: Figures) -> None:
    """Fill in kernels: ms a call, and serial: ns a frame, None if unknown."""
    figures["kernels"] = kernel_times(seqloss_torch(drawn(workload)[1]))
    chain = [took for name, took in figures["kernels"].items() if SERIAL in name]
    figures["serial"] = 1e6 * sum(chain) / workload.frames if chain else None


def facts() -> dict[str, Any]:
    device = torch.cuda.get_device_properties(0)
    return {
        "device": device.name,
        "memory": f"{device.total_memory / 2**30:.0f} GiB",
        "capability": f"{device.major}.{device.minor}",
        "multiprocessors": device.multi_processor_count,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        **machine("numpy", "torch", "triton", "jax", "optax"),
    }


def write(figures: Figures) -> None:
    """Results and picture, after each workload anew, so that what ends early leaves what it has."""
    name = slug(figures["machine"]["device"])
    RESULTS.mkdir(exist_ok=True)
    aside = RESULTS / f"{name}.json.new"
    aside.write_text(json.dumps(figures, indent=2) + "\n")
    aside.replace(RESULTS / f"{name}.json")
    picture(figures, PICTURES / f"gpu-{name}.svg")


def main(
    rounds: Annotated[int, typer.Option(help="turns that each takes")] = 15,
    only: Annotated[str, typer.Option(help="workloads, with commas between")] = "",
    save: Annotated[bool, typer.Option(help="write results and picture")] = False,
) -> None:
    """Loss + gradient from logits on a CUDA device: seqloss beside its peers, in one run."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if not torch.cuda.is_available():
        console.print(NO_DEVICE)
        raise typer.Exit(1)
    chosen = [workload for workload in EVERY if not only or workload.name in only.split(",")]
    if only and len(chosen) != len(only.split(",")):
        raise typer.BadParameter(f"--only: expected some of {', '.join(w.name for w in EVERY)}, found {only}")
    gigabytes = bandwidth()
    figures: Figures = {"machine": facts(), "bandwidth": gigabytes, "workloads": {}}
    for workload in track(chosen, "measuring", console=Console(stderr=True), transient=True):
        figures["workloads"][workload.name] = measure(workload, rounds, gigabytes)
        torch.cuda.empty_cache()
        if save:
            write(figures)
    for workload in track(chosen, "each kernel's share", console=Console(stderr=True), transient=True):
        profile(workload, figures["workloads"][workload.name])
        torch.cuda.empty_cache()
    if save:
        write(figures)
    for table in (times, kernels, memory):
        console.print(table(figures))
    console.print(", ".join(f"{name} {value}" for name, value in figures["machine"].items()))
    console.print(f"a large copy: {gigabytes:.0f} GB/s")
    for line in short(figures):
        console.print(line)
    if wrong(figures):
        console.print(f"gradient off by more than it may be: {', '.join(wrong(figures))}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
