"""`seqloss transcribe`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from seqloss import errors
from seqloss.cli import console
from seqloss.cli.exit_codes import REFUSED
from seqloss.cli.messages import describe_error
from seqloss.recipes import load_task

EXAMPLES = "Examples: seqloss transcribe runs/pages new.png; seqloss transcribe runs/talks *.wav --json"


def transcribe(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Recordings, images of one text line each, tables, or texts: what the run was trained on."),
    ],
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object per line. Of a recogniser: path, text, score, and for each character its confidence "
            "and its times or frames.",
        ),
    ] = False,
) -> None:
    """Transcribe files with a trained run; or score tables and texts, or embed recordings and words."""
    task = load_task(run)
    from seqloss.training.predictor import Predictor
    from seqloss.training.run import Run

    predictor = Predictor(task, Run(run))
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    failed = False
    for file in inputs:
        try:
            found = predictor.predict(file)
        except errors.DataError as problem:
            failed = True
            console.warn(str(file), f": {describe_error(problem).removeprefix(f'{file}: ')}")
            continue
        print(json.dumps(asdict(found), ensure_ascii=ascii_only) if as_json else str(found), flush=True)
    if failed:
        raise typer.Exit(REFUSED)
