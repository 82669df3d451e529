"""What a section of the report is.

A section is a function of a `RunRecord` that returns `Block`s. Templates escape all texts; only what is `Markup`
already, such as a diagram, is inserted as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from seqloss.report.record import RunRecord


@dataclass(frozen=True)
class Figure:
    """A number at the top of the page, with what it means."""

    value: str
    label: str


@dataclass(frozen=True)
class Block:
    """A titled part of the page.

    Attributes:
        title: its heading; "" where there are only figures.
        html: below the heading; `Markup`, or text to be escaped.
        figures: numbers for the top of the page.
    """

    title: str = ""
    html: str = ""
    figures: tuple[Figure, ...] = ()


Section = Callable[[RunRecord], Iterable[Block]]


def render_template(package: str, name: str, **values: Any) -> Markup:
    """The HTML of templates/NAME of a package, with the values; texts are escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(visible_spaces=make_spaces_visible, duration=format_duration)
    text = files(package).joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(environment.from_string(text).render(**values))


def make_spaces_visible(text: str) -> str:
    """A text whose first and last spaces can be seen.

    Example:
        >>> make_spaces_visible("a b "), make_spaces_visible("  ")
        ('a b␣', '␣␣')
    """
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    return "␣" * before + inner + "␣" * (len(text) - before - len(inner))


def format_duration(seconds: float) -> str:
    """A duration in words.

    Example:
        >>> format_duration(71.3), format_duration(83 * 60), format_duration(5.2)
        ('71 seconds', '83 minutes', '5 seconds')
    """
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
