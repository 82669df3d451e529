"""The bytes of a language model by its parts."""

from __future__ import annotations

from collections.abc import Sequence

from seqloss.report.drawing import BLUE, GREEN, GREY, INK, draw_svg

COLORS = (BLUE, GREEN, GREY)


def draw_bytes(models: Sequence[tuple[str, Sequence[tuple[str, int]]]]) -> str:
    """An SVG with a bar for each model, cut into its parts.

    Args:
        models: (how it reads words, [(part, bytes), ...]) from top to bottom.
    """
    with draw_svg("bytes", "bytes of the parameters by part", 7.6, 1.9) as (figure, drawn):
        axes = figure.add_subplot()
        for row, (_, parts) in enumerate(models):
            left = 0.0
            for (name, count), color in zip(parts, COLORS, strict=True):
                axes.barh(row, count / 1e6, left=left, height=0.55, color=color, label=None if row else name)
                left += count / 1e6
            axes.text(left, row, f" {left:.2f}", va="center", color=INK)
        axes.set_yticks(range(len(models)), [kind for kind, _ in models])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.08)
        axes.set_xlabel("megabytes of parameters")
        axes.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, 1.3), labelcolor=INK)
    return drawn[0]
