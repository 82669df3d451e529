"""`seqloss`: one table of commands."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from seqloss import __version__, errors

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress
    from rich.table import Table
except ModuleNotFoundError as missing:  # the command is installed with the base package too
    raise SystemExit(f"seqloss: {errors.missing_extra(str(missing.name), 'train', 'the command line')}") from None

app = typer.Typer(
    help="Train recognisers with losses that are right, and read with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
recipes = typer.Typer(help="Train a recogniser.", no_args_is_help=True)
app.add_typer(recipes, name="train")
err = Console(stderr=True, highlight=False)


def main() -> None:
    """Run a command; an error is told in words, with a traceback only if --debug asks for it."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(args=arguments, prog_name="seqloss")
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except Exception as problem:
        if debug:
            raise
        sys.exit(_tell(problem))


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@recipes.command("ocr")
def train_ocr(
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with manifest.csv or manifest.jsonl (path, text, optionally split), such a file, "
            "or a folder of pictures whose names are their texts. Without it, words are painted on the fly."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Default: runs/ocr-NAME, after the data folder.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: 100, or 14 for painted words.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures in a step. Default: 16, or 32 for painted words.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes everything: the same seed gives the same weights.")] = 0,
    optimizer: Annotated[str, typer.Option(help="adamw, adam or sgd.")] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Highest learning rate. Default: as suits the optimizer.")] = None,
    height: Annotated[int, typer.Option(help="Pixels that each line is scaled to.")] = 32,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better validation.")] = 30,
    painted: Annotated[int, typer.Option(help="Painted words an epoch.")] = 8192,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set an earlier run in that folder aside.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
    accelerator: Annotated[str, typer.Option(help="Lightning's: auto, cpu, gpu, ...")] = "auto",
    devices: Annotated[str, typer.Option(help="Lightning's: how many, or which.")] = "auto",
    precision: Annotated[str, typer.Option(help="Lightning's: 32-true, 16-mixed, bf16-mixed, ...")] = "32-true",
) -> None:
    """Train a reader of text lines; the same command again goes on where it stopped."""
    from seqloss.recipes import ocr

    settings = ocr.Settings(
        data=None if data is None else str(data.resolve()),
        epochs=epochs if epochs is not None else (14 if data is None else 100),
        batch=batch if batch is not None else (32 if data is None else 16),
        seed=seed,
        optimizer=optimizer,
        lr=lr,
        height=height,
        patience=patience,
        painted=painted,
    )
    name = "painted" if data is None else (data.resolve().parent if data.is_file() else data.resolve()).name
    folder = out or Path("runs") / f"ocr-{name}"
    options = {"accelerator": accelerator, "devices": devices, "precision": precision}
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("looking at every row", total=None, visible=data is not None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=done < total)

        ocr.train(
            settings,
            folder,
            fresh=fresh,
            skip_bad=skip_bad,
            workers=workers,
            trainer=options,
            say=_say,
            progress=progress,
        )
    _say(f"read pictures with: seqloss transcribe {folder} PICTURE ...")


@app.command()
def transcribe(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    images: Annotated[list[Path], typer.Argument(help="Pictures of one line of text each.")],
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="One JSON object a line: path, text, score, and for each character its frames and confidence.",
        ),
    ] = False,
) -> None:
    """Read pictures with a trained run."""
    from seqloss.recipes.ocr import Transcriber

    reader = Transcriber(run)
    failed = False
    for image in images:
        try:
            read = reader.read(image)
        except errors.DataError as problem:
            failed = True
            err.print(f"[red]{escape(str(image))}[/red]: {escape(str(problem))}")
            continue
        print(
            json.dumps(asdict(read), ensure_ascii=False) if as_json else f"{read.path}\t{read.text}",
            flush=True,
        )
    if failed:
        raise typer.Exit(2)


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupted() -> int:
    err.print("interrupted; finished epochs are safe, and the same command goes on from there.")
    return 130


def _tell(problem: Exception) -> int:
    """Tell an error; the exit code is 2 for what the person can mend, 1 for the rest."""
    if isinstance(problem, errors.DataError) and problem.rows:
        err.print(_table(problem.rows))
        err.print(f"[red]error:[/red] {escape(str(problem).splitlines()[0].rstrip(':'))}")
        return 2
    if isinstance(problem, (errors.SeqLossError, ImportError)):
        err.print(f"[red]error:[/red] {escape(str(problem))}")
        return 2
    err.print(f"[red]error:[/red] {escape(type(problem).__name__)}: {escape(str(problem))}  (--debug shows where)")
    return 1


def _table(rows: list[errors.BadRow]) -> Table:
    table = Table("file", "row", "reason", title="rows that cannot be used")
    for row in rows:
        table.add_row(escape(row.file), "" if row.row is None else str(row.row), escape(row.reason))
    return table


if __name__ == "__main__":
    main()
