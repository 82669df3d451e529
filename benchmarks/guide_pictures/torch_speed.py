"""Milliseconds of loss and gradient beside torch's own CTC: results/ctc-cpu-avx2.json."""

from __future__ import annotations

from matplotlib.figure import Figure
from times_in_pairs import compare_times


def draw() -> Figure:
    return compare_times({"seqloss.torch": "tab:blue", "torch": "tab:gray"}, "loss and gradient, one CPU thread")
