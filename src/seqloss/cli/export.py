"""`seqloss export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqloss.cli import console
from seqloss.counts import format_count
from seqloss.recipes import load_task

EXAMPLE = "Example: seqloss export runs/pages logits.npz; then seqloss verify torch --logits logits.npz"


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    file: Annotated[Path, typer.Argument(help="The .npz to write: logits, targets, their lengths, blank.")],
    items: Annotated[int, typer.Option(help="Maximum number of validation items.")] = 256,
) -> None:
    """Write a run's logits for validation items, for: seqloss verify --logits FILE."""
    task = load_task(run)
    from seqloss.training.predictor import Predictor
    from seqloss.training.run import Run

    count = task.export(Predictor(task, Run(run)).network, file, items)
    console.print_line(
        f"wrote {file}: logits of {format_count(count, task.item)}; verify with: seqloss verify --logits {file}"
    )
