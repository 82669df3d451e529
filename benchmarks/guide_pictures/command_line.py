"""A folder is examined, a recogniser is trained on it and reads an image: four commands, as a terminal shows them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path

from rich.text import Text
from terminal_svg import draw_terminal

ROOT = Path(__file__).parents[2]
COLUMNS = 72
FIRST, LAST = 2, 6
"""Lines of the training that are shown, beside that of the first epoch."""


def draw() -> str:
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            [sys.executable, ROOT / "examples/make_folders.py", "images", "numbers"],
            cwd=home, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        shown = [
            run("doctor", "numbers", home=home),
            shorten(run("train", "ocr", "--data", "numbers", "--epochs", "40", "--out", "runs/numbers", home=home)),
            run("transcribe", "runs/numbers", "numbers/0.png", "numbers/9.png", home=home),
            run("report", "runs/numbers", home=home),
        ]
    return draw_terminal(Text("\n\n").join(shown), COLUMNS, "command-line")


def run(*arguments: str, home: str) -> Text:
    """A command, and what it prints."""
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT / "src"), "FORCE_COLOR": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "seqloss", *arguments],
        cwd=home, check=True, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    command = Text.assemble(("$ ", "bold green"), (" ".join(["seqloss", *arguments]), "bold bright_white"), "\n")
    return command + Text.from_ansi(ran.stdout.rstrip("\n").replace(f"{home}/", ""))


def shorten(shown: Text) -> Text:
    """The first lines, that of the first epoch, and the last ones; where lines are left out, it says how many."""
    command, *lines = shown.split("\n")
    epoch = next(number for number, line in enumerate(lines) if line.plain.startswith("epoch"))
    parts = [lines[:FIRST], _left_out(epoch - FIRST), [lines[epoch]]]
    parts += [_left_out(len(lines) - epoch - 1 - LAST), lines[-LAST:]]
    return Text("\n").join([command, *chain(*parts)])


def _left_out(count: int) -> list[Text]:
    return [Text(f"[{count} more lines]", "italic bright_black")]
