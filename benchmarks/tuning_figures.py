"""The figure and the tables of docs/guides/tuning.md, from the lines of benchmarks/tuning.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from tuning_studies import ROWS, STUDIES

IMAGES = Path(__file__).parents[1] / "docs" / "img"
Lines = dict[str, list[dict[str, Any]]]
"""Name of a training -> its lines, one for each seed."""
SETS = {"captcha": "captchas", "fraktur": "Fraktur"}
SIZES, PERCENTS = sorted({*ROWS["captcha"], *ROWS["fraktur"]}), (0, 1, 3, 10, 30, 100)
"""Ticks of the figure."""

TABLES = {
    "learning rate": {f"{rate:g}": f"fsdd, lr {rate:g}" for rate in (2e-4, 6e-4, 2e-3, 6e-3, 2e-2)},
    "batch": {"8": "fsdd, batch 8", "16": "fsdd, batch 16", "32": "fsdd, lr 0.002", "64": "fsdd, batch 64",
              "128": "fsdd, batch 128"},
    "subsampling": {"2": "fsdd, lr 0.002", "4": "fsdd, subsampling 4"},
    "patience, 100 captchas": {"10": "captcha, 100 rows, patience 10", "30": "captcha, 100 rows, patience 30",
                               "252": "captcha, 100 rows"},
    **{label: {f"{rows}": f"{data}, {rows} rows" for rows in ROWS[data]} for data, label in SETS.items()},
}  # fmt: skip
"""What is changed -> its value -> the training."""


def draw(lines: Iterable[dict[str, Any]]) -> None:
    found = group(lines)
    draw_curves(found)
    for changed, trainings in TABLES.items():
        print(table(changed, trainings, found), end="\n\n")


def group(lines: Iterable[dict[str, Any]]) -> Lines:
    found: Lines = defaultdict(list)
    for line in lines:
        found[line["name"]].append(line)
    return found


def table(changed: str, trainings: dict[str, str], found: Lines) -> str:
    """In Markdown; a training without lines has no row."""
    rows = [f"| {changed} | wrong characters, %, each seed | median | best epoch | steps |", "|" + " --- |" * 5]
    for value, name in trainings.items():
        if lines := sorted(found.get(name, ()), key=lambda line: int(line["seed"])):
            errors = [100 * line["error"] for line in lines]
            epochs = ", ".join(f"{line['best']} of {line['epochs']}" for line in lines)
            each = ", ".join(f"{error:.1f}" for error in errors)
            steps = ", ".join(f"{line['steps']:,}" for line in lines)
            rows.append(f"| {value} | {each} | {median(errors):.1f} | {epochs} | {steps} |")
    return "\n".join(rows)


def draw_curves(found: Lines) -> None:
    """Error against rows, one line for each set: the median, and a point for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name, style in (("light", "default"), ("dark", "dark_background")):
        with pyplot.style.context([style, {"svg.hashsalt": "seqloss"}]):
            figure, axis = pyplot.subplots(figsize=(5.8, 3.4), layout="constrained")
            for data, label in SETS.items():
                errors = [[100 * line["error"] for line in found[training.name]] for training in STUDIES[data]]
                (drawn,) = axis.plot(ROWS[data], [median(each) for each in errors], label=label)
                for count, each in zip(ROWS[data], errors, strict=True):
                    axis.plot([count] * len(each), each, "o", color=drawn.get_color(), alpha=0.7, clip_on=False)
            axis.set(xscale="log", xlabel="rows for training", ylabel="wrong characters, %")
            axis.set_yscale("symlog", linthresh=1)  # a test without a mistake has a place, at 0
            axis.set_xticks(SIZES, map(str, SIZES))
            axis.set_yticks(PERCENTS, map(str, PERCENTS))
            axis.set_ylim(0, 110)
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            axis.legend(frameon=False)
            figure.savefig(IMAGES / f"tuning-{name}.svg", transparent=True, metadata={"Date": None})
            pyplot.close(figure)
