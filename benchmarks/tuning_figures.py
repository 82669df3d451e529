"""The figure and the tables of docs/guides/tuning.md, from the lines of benchmarks/tuning.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from tuning_studies import STUDIES, Training

IMAGES = Path(__file__).parents[1] / "docs" / "img"
Lines = dict[str, list[dict[str, Any]]]
"""Name of a training -> its lines, one for each seed."""
SETS = {"captcha": "captchas", "fraktur": "Fraktur"}


def draw(lines: Iterable[dict[str, Any]]) -> None:
    found: Lines = defaultdict(list)
    for line in lines:
        found[line["name"]].append(line)
    draw_curves(found)
    for study, trainings in STUDIES.items():
        print(table(study, trainings, found), end="\n\n")


def table(study: str, trainings: list[Training], found: Lines) -> str:
    """In Markdown; a training without lines has no row."""
    rows = [
        f"| {study} | error of characters, %, each seed | median | best epoch of | steps | minutes |",
        "|" + " --- |" * 6,
    ]
    for training in trainings:
        if lines := sorted(found.get(training.name, ()), key=lambda line: int(line["seed"])):
            errors = [100 * line["error"] for line in lines]
            epochs = ", ".join(f"{line['best']} of {line['epochs']}" for line in lines)
            steps, seconds = (median(line[name] for line in lines) for name in ("steps", "seconds"))
            each = ", ".join(f"{error:.1f}" for error in errors)
            rows.append(
                f"| {training.name} | {each} | {median(errors):.1f} | {epochs} | {steps:.0f} | {seconds / 60:.1f} |"
            )
    return "\n".join(rows)


def draw_curves(found: Lines) -> None:
    """Error against rows, one line for each set: the median, and a point for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name, style in (("light", "default"), ("dark", "dark_background")):
        with pyplot.style.context(style):
            figure, axis = pyplot.subplots(figsize=(7, 3.4), layout="constrained")
            for data, label in SETS.items():
                sizes = [training for training in STUDIES[data] if training.name in found]
                errors = [[100 * line["error"] for line in found[training.name]] for training in sizes]
                rows = [training.rows for training in sizes]
                (drawn,) = axis.plot(rows, [median(each) for each in errors], label=label)
                for count, each in zip(rows, errors, strict=True):
                    axis.plot([count] * len(each), each, "o", color=drawn.get_color(), alpha=0.7)
            axis.set(xscale="log", xlabel="rows for training", ylabel="wrong characters, %", ylim=(0, None))
            axis.set_xticks([30, 100, 300, 842], ["30", "100", "300", "842"])
            axis.minorticks_off()
            axis.legend(frameon=False)
            figure.savefig(IMAGES / f"tuning-{name}.svg", transparent=True, metadata={"Date": None})
            pyplot.close(figure)
