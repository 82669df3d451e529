"""Diagrams as SVG whose lines and texts take the page's own colours, light or dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

INK = "#010203"
"""Replaced by the page's own text colour."""

BLUE, RED, GREEN, GREY = "#3b8bd0", "#e0533d", "#2f9e6b", "#8a919c"
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@contextmanager
def draw_svg(name: str, label: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """A matplotlib figure, and a list that has its SVG when the block ends.

    Args:
        name: makes the ids in the SVG unique in the page.
        label: for screen readers.
        width: in inches.
        height: in inches.
    """
    drawn: list[str] = []
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser draws the texts with its own fonts
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, drawn
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    drawn.append(re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL))


def set_log_axis(axes: Axes) -> None:
    """Make what is drawn logarithmic; its labels are plain numbers, because the text of an SVG has no exponents."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def draw_curve(name: str, label: str, draw: Callable[[Axes], None], log: bool = False) -> str:
    """One small diagram over the epochs."""
    with draw_svg(name, label, 4.6, 2.5) as (figure, drawn):
        axes = figure.add_subplot()
        draw(axes)
        if log:
            set_log_axis(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_title(label, loc="left", fontsize=10, color=INK)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, labelcolor=INK)
    return drawn[0]
