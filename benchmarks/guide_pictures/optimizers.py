"""Losses of five optimisers on three problems, as benchmarks/optimizers.py has measured them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[1] / "results" / "optimizers.json"
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def draw() -> Figure:
    saved = json.loads(RESULTS.read_text(encoding="utf-8"))
    figure, axes = pyplot.subplots(2, 2, figsize=(5.4, 4.6), layout="constrained")
    for axis, (problem, found) in zip(axes.flat, saved["problems"].items(), strict=False):
        for (name, result), style in zip(found.items(), STYLES, strict=True):
            steps = 10 * np.arange(len(result["curve"])) + 5  # each value is the mean of ten steps
            wide = 2.0 if name == "SMORMS3" else 1.3
            axis.semilogy(steps, result["curve"], linestyle=style, linewidth=wide, label=name)
        title, measure = problem.split(": ")
        axis.set_title(f"{title}:\n{measure}", fontsize=9)
        axis.set(xlabel="step", xlim=(0, saved["steps"]))
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel(f"loss, median of {saved['seeds']} seeds")
    axes[1, 0].set_ylabel(f"loss, median of {saved['seeds']} seeds")
    axes[1, 1].axis("off")
    axes[1, 1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False, handlelength=3)
    return figure
