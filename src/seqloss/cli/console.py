"""Where lines go: results to stdout, progress and errors to stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

err = Console(stderr=True, highlight=False)
"""Read it as `console.err`, so that a test can replace it."""


def print_line(line: str) -> None:
    """A line on stdout, at once."""
    print(line, flush=True)


def warn(head: str, rest: str) -> None:
    """A line on stderr, its head in red."""
    err.print(Text.assemble((escape_control(head), "red"), escape_control(rest)), soft_wrap=True)


def escape_control(text: str) -> str:
    """Text without control characters, which would move a terminal's cursor, and without unpaired surrogates."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total), which draws a bar on a terminal until all is done."""
    from rich.progress import Progress

    bar = Progress(console=err, transient=True, redirect_stdout=False, disable=not err.is_terminal)
    task = bar.add_task(title)

    def progress(done: int, total: int) -> None:
        if done == 1:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    try:
        yield progress
    finally:
        bar.stop()
