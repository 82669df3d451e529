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
OURS, GRAPH = "seqloss.torch", "seqloss.torch, a graph"
MEASURED = (OURS, GRAPH, "torch", "cuDNN", "seqloss.jax", "optax (jit)")
BARS = {"cuDNN": "#a3a8ac", OURS: "#5f9bb0", GRAPH: "#1f6f8b"}
"""Who stands beside torch in the picture."""
ANOTHER = 0.5
"""A gradient that errs by more is of another function: its time is in the tables, not in the picture."""
PARTS = {
    "passes over the logits": ("#1f6f8b", ("_frames_kernel", "_gradient_kernel")),
    "the serial chain": ("#d98b3a", ("_sums_kernel",)),
    "posteriors": ("#f0c48f", ("_posteriors_kernel", "_by_class_kernel")),
}
REST = "the rest"
ASKED = [(OURS, "torch", 5.0), (OURS, "cuDNN", 1.0), ("seqloss.jax", "optax (jit)", 2.0)]
"""Who is to be how many times as fast as whom."""
LARGE, NEAR = 0.4, 1.5
"""A floor of so many milliseconds is to be met within so many times."""
BOUNDS = {"float32": (1e-5, 1e-4), "bfloat16": (2.0**-8, 2.0**-8)}
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
    names = sorted({name for found in figures["workloads"].values() for name in found["kernels"] if _own(name)})
    columns = [name.removeprefix("_").removesuffix("_kernel").replace("_", " ") for name in names]
    shown = Table("workload", "serial, ns a frame", *columns, "torch's", title="each kernel's share of its time")
    for workload, found in figures["workloads"].items():
        took = found["kernels"]
        whole = sum(took.values())
        parts = [took.get(name, 0.0) for name in names] + [sum(t for name, t in took.items() if not _own(name))]
        shares = (f"{part / whole:.0%}" if whole else "-" for part in parts)
        serial = found["serial"]
        shown.add_row(workload, f"{serial:.0f}" if serial is not None else "-", *shares)
    return shown


def _own(kernel: str) -> bool:
    return kernel.endswith("_kernel")


def memory(figures: Figures) -> Table:
    """What a call holds at its peak beside logits and gradient."""
    shown = Table("workload", "logits, MB", *MEASURED, title="peak beside logits and gradient, MB")
    for workload, found in figures["workloads"].items():
        peaks = (found["milliseconds"].get(name, {}).get("peak") for name in MEASURED)
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
        if name.startswith("seqloss")
        if "absolute" in row
        if not (row["absolute"] <= BOUNDS[found["dtype"]][0] and row["relative"] <= BOUNDS[found["dtype"]][1])
    ]


def short(figures: Figures) -> list[str]:
    """Where our speed is less than what is asked, beside each peer, and beside the floor where that is large."""
    found = []
    for workload, measured in figures["workloads"].items():
        took = {name: row["median"] for name, row in measured["milliseconds"].items()}
        for name, other, asked in ASKED:
            if name in took and other in took and took[other] < asked * took[name]:
                found.append(
                    f"{workload}: {name} is {took[other] / took[name]:.2f} times as fast as {other}, asked {asked}"
                )
        floor = measured["floor"]
        if floor > LARGE and took[OURS] > NEAR * floor:
            found.append(f"{workload}: {OURS} takes {took[OURS] / floor:.2f} times the floor, asked at most {NEAR}")
    return found


def parts(kernels: dict[str, float]) -> dict[str, float]:
    """Shares of our time, by what is waited for."""
    whole = sum(kernels.values())
    shares = dict.fromkeys([*PARTS, REST], 0.0)
    for kernel, took in kernels.items():
        part = next((part for part, (_, names) in PARTS.items() if any(name in kernel for name in names)), REST)
        shares[part] += took / whole
    return shares


def picture(figures: Figures, file: Path) -> None:
    """Above, how many times as fast as torch; below, what our time goes into, and what memory needs in any case."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    workloads = figures["workloads"]
    with plt.rc_context({"font.family": "sans-serif", "svg.hashsalt": "seqloss", "font.size": 10}):
        figure, (above, below) = plt.subplots(
            2, sharex=True, figsize=(max(6.0, 1.05 * len(workloads) + 0.8), 6.2), height_ratios=[2.1, 1],
            layout="constrained",
        )  # fmt: skip
        _bars(above, workloads)
        _shares(below, workloads)
        words = ("frames", "rows", "classes", "labels")
        sizes = (zip(found["shape"].split(", "), words, strict=True) for found in workloads.values())
        ticks = ["\n".join([name, *map(" ".join, size)]) for name, size in zip(workloads, sizes, strict=True)]
        below.set_xticks(range(len(workloads)), ticks)
        below.tick_params(axis="x", labelsize=8, length=0)
        above.tick_params(axis="x", length=0)
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
        above.set_title(f"CTC loss and gradient from logits on {figures['machine']['device']}", loc="left")
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


def _bars(axes: Any, workloads: dict[str, Any]) -> None:
    for x, (workload, found) in enumerate(workloads.items()):
        rows = found["milliseconds"]
        present = [name for name in BARS if _stands(name, rows)]
        for place, name in enumerate(present if "torch" in rows else []):
            row, times = rows[name], rows["torch"]["median"]
            at, ratio = x + 0.4 * (place - (len(present) - 1) / 2), times / row["median"]
            axes.bar(at, ratio, 0.38, color=BARS[name], zorder=2, gid=f"{workload}: {name}")
            axes.plot([at, at], [times / row["high"], times / row["low"]], color="#22303a", linewidth=0.8, zorder=3)
            weight = "bold" if name == GRAPH else "normal"
            text = f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
            axes.annotate(
                text, (at, max(1.0, times / row["low"])), (0, 3), textcoords="offset points", ha="center",
                color=BARS[name], fontweight=weight, fontsize=9,
            )  # fmt: skip
    for name in BARS:
        if any(_stands(name, found["milliseconds"]) for found in workloads.values()):
            axes.bar(0, 0, color=BARS[name], label=name)
    axes.axhline(1.0, color="#777777", linewidth=1, zorder=1, label="torch")
    axes.set_ylabel("times as fast as torch")
    axes.margins(y=0.12)
    axes.legend(frameon=False, loc="upper right", ncols=4)


def _stands(name: str, rows: dict[str, dict[str, float]]) -> bool:
    return name in rows and rows[name].get("absolute", 0.0) < ANOTHER


def _shares(axes: Any, workloads: dict[str, Any]) -> None:
    colours = {**{part: colour for part, (colour, _) in PARTS.items()}, REST: "#dfe3e6"}
    for x, (workload, found) in enumerate(workloads.items()):
        bottom = 0.0
        for part, share in parts(found["kernels"]).items() if found["kernels"] else ():
            axes.bar(x, share, 0.7, bottom=bottom, color=colours[part], gid=f"{workload}: {part}")
            bottom += share
        rows = found["milliseconds"]
        floor = min(1.0, found["floor"] / rows.get(GRAPH, rows[OURS])["median"])
        axes.plot([x - 0.42, x + 0.42], [floor, floor], color="#b03a2e", linewidth=1.6)
    for part, colour in colours.items():
        axes.bar(0, 0, color=colour, label=part)
    axes.plot([], [], color="#b03a2e", linewidth=1.6, label="needed to move the bytes")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_ylabel("of our time")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, fontsize=8, columnspacing=1.2)
