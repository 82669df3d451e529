"""What `benchmarks/gpu.py` measured, as tables and as a picture: functions of the saved figures alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rich.table import Table

Figures = dict[str, Any]
"""As `benchmarks/results/<device>.json` holds them: see `gpu.measure`."""

RESULTS = Path(__file__).parent / "results"
PICTURES = Path(__file__).parents[1] / "docs" / "img"
OURS = "seqloss.torch"
COLOURS = {
    OURS: "#1f6f8b",
    "seqloss.torch, a graph": "#6db3c9",
    "torch": "#777777",
    "cuDNN": "#b5b5b5",
    "seqloss.jax": "#8a6fb0",
    "optax (jit)": "#c3b6d6",
}
BOUNDS = {"float32": (1e-6, 1e-5), "bfloat16": (2.0**-8, 2.0**-8)}
"""What our gradient may err by, absolute and of the row's largest entry; bfloat16's own rounding is 2^-9."""


def slug(device: str) -> str:
    """A device's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def times(figures: Figures) -> Table:
    """Milliseconds with their spread, beside torch and the floor, and errors."""
    shown = Table(
        "workload", "", "ms (quartiles)", "times torch", "of the floor", "worst error", "of the row's largest",
        title=f"CTC loss + gradient from logits, {figures['machine']['device']}",
    )  # fmt: skip
    for workload, found in figures["workloads"].items():
        rows = found["milliseconds"]
        for name, row in rows.items():
            shown.add_row(
                f"{workload} {found['shape']} {found['dtype']}" if name == next(iter(rows)) else "",
                name,
                f"{row['median']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
                f"{rows['torch']['median'] / row['median']:.1f}" if "torch" in rows else "-",
                f"{row['median'] / found['floor']:.1f}",
                f"{row['absolute']:.1e}" if "absolute" in row else "",
                f"{row['relative']:.1e}" if "relative" in row else "",
                end_section=name == list(rows)[-1],
            )
    return shown


def kernels(figures: Figures) -> Table:
    """Where our time goes: each kernel's share, and the serial chain's nanoseconds a frame."""
    names = sorted({name for found in figures["workloads"].values() for name in found["kernels"]})
    shown = Table("workload", "ns a frame, serial", *names, title="each kernel's share of the device's time")
    for workload, found in figures["workloads"].items():
        whole = sum(found["kernels"].values())
        shares = (f"{found['kernels'].get(name, 0.0) / whole:.0%}" if whole else "-" for name in names)
        serial = found["serial"]
        shown.add_row(workload, f"{serial:.0f}" if serial is not None else "-", *shares)
    return shown


def memory(figures: Figures) -> Table:
    """What a call holds at its peak beside logits and gradient."""
    shown = Table("workload", "logits, MB", *COLOURS, title="peak beside logits and gradient, MB")
    for workload, found in figures["workloads"].items():
        peaks = (found["milliseconds"].get(name, {}).get("peak") for name in COLOURS)
        shown.add_row(
            workload, f"{found['bytes'] / 1e6:.1f}", *("" if peak is None else f"{peak / 1e6:.1f}" for peak in peaks)
        )
    return shown


def wrong(figures: Figures) -> list[str]:
    """Where our gradient errs by more than it may."""
    return [
        f"{workload}: {name}"
        for workload, found in figures["workloads"].items()
        for name, row in found["milliseconds"].items()
        if name.startswith(OURS)
        if "absolute" in row
        if not (row["absolute"] <= BOUNDS[found["dtype"]][0] and row["relative"] <= BOUNDS[found["dtype"]][1])
    ]


def picture(figures: Figures, file: Path) -> None:
    """How many times the memory floor each takes, as bars over the workloads."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    workloads = figures["workloads"]
    present = [name for name in COLOURS if any(name in found["milliseconds"] for found in workloads.values())]
    width = 0.84 / len(present)
    with plt.rc_context({"font.family": "sans-serif", "svg.hashsalt": "seqloss", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(max(6.0, 1.15 * len(workloads)), 4.4), layout="constrained")
        for place, name in enumerate(present):
            for x, found in enumerate(workloads.values()):
                if name in found["milliseconds"]:
                    ratio = found["milliseconds"][name]["median"] / found["floor"]
                    at = x + width * (place - (len(present) - 1) / 2)
                    axes.bar(at, ratio, 0.94 * width, color=COLOURS[name])
                    axes.text(at, ratio * 1.06, f"{ratio:.3g}", ha="center", fontsize=7, color=COLOURS[name])
        for name in present:
            axes.bar(0, 0, color=COLOURS[name], label=name)
        axes.axhline(1.0, color="#b03a2e", linewidth=1)
        axes.text(len(workloads) - 0.5, 1.05, "memory's own time", ha="right", color="#b03a2e", fontsize=8)
        axes.set_yscale("log")
        axes.set_xticks(range(len(workloads)), [f"{name}\n{found['shape']}" for name, found in workloads.items()])
        axes.tick_params(axis="x", labelsize=7)
        axes.set_ylabel("times the floor")
        axes.set_title(
            f"CTC loss and gradient from logits on {figures['machine']['device']}: floor = logits read twice, gradient "
            f"written once, at {figures['bandwidth']:.0f} GB/s", loc="left", fontsize=9,
        )  # fmt: skip
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside lower center", ncols=len(present), fontsize=8)
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)
