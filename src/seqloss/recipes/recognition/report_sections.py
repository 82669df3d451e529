"""Sections of the report that recipes with CTC add: predictions with class probabilities per frame, and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from markupsafe import Markup

from seqloss.errors import DataError, RunError
from seqloss.recipes.recognition.report_drawing import draw_item, width_in_pixels
from seqloss.recipes.recognition.report_items import Items, read_items
from seqloss.recipes.recognition.texts import TextTask
from seqloss.report.record import RunRecord
from seqloss.report.section import Block, Figure, render_template


def predictions_section(record: RunRecord) -> Iterator[Block]:
    """What the best epoch predicts, and where it errs; or why nothing can be predicted."""
    task = cast(TextTask, record.task)
    try:
        items = read_items(record, task)
    except (RunError, DataError, OSError) as problem:
        trouble = str(problem).splitlines()[0].rstrip(":")
        yield Block("Predictions", _render("predictions.html", items=None, trouble=trouble))
        return
    figure = Figure(f"{items.blank:.0%}", f"blank {items.kind} frames")
    drawn = list(_draw_items(items, symbols_of(task)))
    yield Block("Predictions", _render("predictions.html", items=items, drawn=drawn, item=task.item), (figure,))
    yield Block("Errors", _render("errors.html", items=items, item=task.item))


def symbols_of(task: TextTask) -> list[str]:
    """The text of each class, the blank's first."""
    return ["blank", *task.vocabulary.characters]


def _draw_items(items: Items, symbols: list[str]) -> Iterator[tuple[object, int, Markup]]:
    for number, shown in enumerate(items.shown):
        yield shown, width_in_pixels(shown), Markup(draw_item(shown, symbols, number))


def _render(name: str, **values: object) -> Markup:
    return render_template("seqloss.recipes.recognition", name, **values)
