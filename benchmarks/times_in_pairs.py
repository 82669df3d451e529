"""Bars of two implementations on each workload of benchmarks/ctc.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results" / "ctc-cpu-avx2.json"


def compare_times(colors: dict[str, str], title: str) -> Figure:
    """Medians with their spread; the first name is ours, and the factor between the two stands above."""
    workloads = json.loads(RESULTS.read_text())["milliseconds"]
    figure, axis = pyplot.subplots(figsize=(5.4, 2.8), layout="constrained")
    places = np.arange(len(workloads))
    for shift, (name, color) in zip((-0.2, 0.2), colors.items(), strict=True):
        found = [workload[name] for workload in workloads.values()]
        medians = np.array([one["median"] for one in found])
        spread = np.abs([[one["low"] for one in found], [one["high"] for one in found]] - medians)
        axis.bar(places + shift, medians, 0.38, yerr=spread, color=color, label=name, error_kw={"linewidth": 0.8})
    ours, theirs = colors
    for place, workload in zip(places, workloads.values(), strict=True):
        factor = workload[theirs]["median"] / workload[ours]["median"]
        axis.text(place + 0.2, workload[theirs]["median"] * 1.15, f"{factor:.3g}x", ha="center")
    axis.set(yscale="log", ylabel="milliseconds", title=title)
    axis.set_xticks(places, list(workloads))
    axis.margins(y=0.2)
    axis.legend(frameon=False, loc="upper left")
    return figure
