"""Perplexity and size of a language model that reads characters, beside one with a table of words."""

from __future__ import annotations

from matplotlib import pyplot
from matplotlib.figure import Figure

PERPLEXITY = {"characters": [88.87, 89.09, 88.47], "table": [92.94, 92.78, 91.39]}
MEGABYTES = {"characters": 4.131, "table": 9.484}
"""Of docs/guides/language-model.md: `seqloss train charlm --words characters` and `--words table`, seeds 0 to 2."""


def draw() -> Figure:
    figure, axis = pyplot.subplots(figsize=(6, 2.6), layout="constrained")
    for name, color in (("characters", "tab:blue"), ("table", "tab:gray")):
        axis.plot([MEGABYTES[name]] * 3, PERPLEXITY[name], "o", color=color, alpha=0.7)
        axis.annotate(f"--words {name}", (MEGABYTES[name], PERPLEXITY[name][0]), (8, -3), textcoords="offset points")
    axis.set(xlabel="megabytes of weights", ylabel="test perplexity", xlim=(0, 12), ylim=(85, 95))
    return figure
