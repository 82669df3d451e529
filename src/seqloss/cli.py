"""`seqloss`: one table of commands."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from seqloss import __version__, errors

try:
    import typer
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text
    from typer.core import TyperGroup
except ModuleNotFoundError as missing:  # the command is installed with the base package too
    raise SystemExit(f"seqloss: {errors.missing_extra(str(missing.name), 'train', 'the command line')}") from None

EXTRAS = {"hypothesis": "verify", "cloudpickle": "verify"}
"""Which extra brings a package; the others come with "train"."""

INTERRUPTED, TERMINATED = 130, 143

SPINS = "3000"
"""How long a thread of torch's waits for the others before it lets another process have the core. By default it spins
for a time slice and more, and beside a busy process a training was seen to fall from 240 pictures a second to 20."""


class Commands(TyperGroup):
    """The commands; a signal that ends one is told in words."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except SystemExit as left:
            if left.code != TERMINATED:
                raise
            code = TERMINATED
        safe = "; finished epochs are safe, and the same command goes on from there"
        err.print(f"interrupted{safe if ctx.invoked_subcommand == 'train' else ''}.", soft_wrap=True)
        raise typer.Exit(code)


app = typer.Typer(
    cls=Commands,
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that are no UTF-8
    try:
        app(args=arguments, prog_name="seqloss")
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


@recipes.command(
    "ocr",
    epilog="For example: seqloss train ocr --data pictures --out runs/mine; then seqloss transcribe runs/mine new.png. "
    "A run is resumed with the same settings only; --workers, --accelerator, --devices and --precision may differ.",
)
def train_ocr(
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with manifest.csv or manifest.jsonl (path, text, optionally split), such a file, "
            "or a folder of pictures whose names are their texts. Without it, words are painted on the fly."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the run. Default: runs/ocr- and the data folder's name.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: 60, or 12 for painted words.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures in a step. Default: 16, or 32 for painted words.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes everything: the same seed gives the same weights.")] = 0,
    optimizer: Annotated[str, typer.Option(help="adamw, adam or sgd.")] = "adamw",
    lr: Annotated[float | None, typer.Option(help="Highest learning rate. Default: as suits the optimizer.")] = None,
    height: Annotated[int, typer.Option(help="Pixels that each line is scaled to.")] = 32,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better validation.")] = 30,
    painted: Annotated[int, typer.Option(help="Painted words an epoch.")] = 8192,
    overfit: Annotated[
        int | None,
        typer.Option(
            help="Do not train: see whether so many pictures are learnt by heart, as any network that is wired right "
            "does. Exit code 1 if not.",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set an earlier run in that folder aside.")] = False,
    workers: Annotated[int, typer.Option(help="Processes that prepare batches.")] = 1,
    accelerator: Annotated[str, typer.Option(help="Lightning's: auto, cpu, gpu, ...")] = "auto",
    devices: Annotated[str, typer.Option(help="Lightning's: how many, or which.")] = "auto",
    precision: Annotated[str, typer.Option(help="Lightning's: 32-true, 16-mixed, bf16-mixed, ...")] = "32-true",
) -> None:
    """Train a reader of text lines; the same command again goes on where it stopped."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
    from seqloss.recipes import ocr

    settings = ocr.Settings(
        data=None if data is None else str(data.resolve()),
        epochs=epochs if epochs is not None else (12 if data is None else 60),
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
    bar = Progress(console=err, transient=True, redirect_stdout=False, disable=not err.is_terminal)
    task = bar.add_task("looking at every row" if overfit is None else "learning by heart")

    def progress(done: int, total: int) -> None:
        if done == 1:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    try:
        if overfit is not None:
            if not ocr.overfit(settings, overfit, skip_bad=skip_bad, trainer=options, say=_say, progress=progress):
                raise typer.Exit(1)
            return
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
    finally:
        bar.stop()
    if os.environ.get("LOCAL_RANK", "0") == "0":
        from seqloss.recipes.report import write_report

        _say(f"what it was like: {write_report(folder)}")
        _say(f"read pictures with: seqloss transcribe {shlex.quote(str(folder))} PICTURE ...")


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
    from seqloss.recipes.transcriber import Transcriber

    reader = Transcriber(run)
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    failed = False
    for image in images:
        try:
            read = reader.read(image)
        except errors.DataError as problem:
            failed = True
            _warn(str(image), f": {_words(problem)}")
            continue
        print(
            json.dumps(asdict(read), ensure_ascii=ascii_only) if as_json else f"{read.path}\t{read.text}",
            flush=True,
        )
    if failed:
        raise typer.Exit(2)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    out: Annotated[Path | None, typer.Option(help="The page to write. Default: RUN/report.html.")] = None,
) -> None:
    """Write a page about a run: curves, gradients, and validation pictures with what the network says of them."""
    from seqloss.recipes.report import write_report

    with err.status(f"reading validation pictures of {run}", spinner="dots"):
        file = write_report(run, out)
    _say(f"wrote {file}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run.")],
    file: Annotated[Path, typer.Argument(help="The .npz to write: logits, targets, their lengths, blank.")],
    items: Annotated[int, typer.Option(help="At most so many validation pictures.")] = 256,
) -> None:
    """Write a run's own outputs, for: seqloss verify --logits FILE."""
    from seqloss.recipes.outputs import export

    count = export(run, file, items)
    _say(f"wrote {file}: the outputs for {count} pictures; hold any CTC against them: seqloss verify --logits {file}")


@app.command(
    epilog="For example: seqloss verify mine.py:ctc; seqloss verify torch optax; seqloss verify torch --logits out.npz"
)
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to verify: package.module:function or file.py:function, called with NumPy arrays (logits, "
            "targets, logit_lengths, target_lengths, blank), which returns loss or (loss, gradient); or a name of "
            "--list. Default: every known implementation that is installed.",
            show_default=False,
        ),
    ] = None,
    known: Annotated[bool, typer.Option("--list", help="List the known implementations and leave.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Try for minutes, and large sizes.")] = False,
    seed: Annotated[int, typer.Option(help="Of the search for failures.")] = 0,
    limit: Annotated[float | None, typer.Option(help="Seconds for one call. Default: 20, or 120 with --full.")] = None,
    logits: Annotated[
        Path | None,
        typer.Option(
            help="An .npz of your network's outputs (logits, targets, logit_lengths, target_lengths, blank): "
            "tell how far each implementation is from the definition on them."
        ),
    ] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="Types that your function takes.", show_default=False)] = None,
    blank: Annotated[str, typer.Option(help="Blanks that your function takes: any, first or last.")] = "any",
    lengths: Annotated[str, typer.Option(help="Lengths that your function takes: both, labels or none.")] = "both",
    log_probs: Annotated[bool, typer.Option("--log-probs", help="It takes log-probabilities, not scores.")] = False,
    few_shapes: Annotated[bool, typer.Option("--few-shapes", help="It compiles for each shape.")] = False,
    without: Annotated[
        list[str] | None, typer.Option(help="A law that your function does not promise.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the reports as a page.")] = None,
) -> None:
    """Is this CTC right? Hold implementations against the definition; exit code 1 if a named one breaks a law."""
    from seqloss.verify import command

    promises = command.Promises(
        tuple(dtype or ()), blank, lengths, "log_probs" if log_probs else "logits", few_shapes, tuple(without or ())
    )
    if known:
        command.list_known()
        return
    implementations = command.implementations(names or [], promises)
    if logits is not None:
        good = command.hold_outputs(implementations, logits, err, as_json)
    else:
        good = command.run(implementations, err, full=full, seed=seed, limit=limit, as_json=as_json, html=html)
    if names and not good:
        raise typer.Exit(1)


def _say(line: str) -> None:
    print(line, flush=True)


def _plain(text: str) -> str:
    """Text without control characters, which would move a terminal's cursor, and without halves of characters."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _warn(head: str, rest: str) -> None:
    err.print(Text.assemble((_plain(head), "red"), _plain(rest)), soft_wrap=True)


def _words(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        where = f"{problem.filename}: " if problem.filename else ""
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return where + problem.strerror + full * "; free some space, then give the same command again."
    package = (problem.name or "").partition(".")[0] if isinstance(problem, ModuleNotFoundError) else ""
    if package and package != "seqloss":
        return str(errors.missing_extra(package, EXTRAS.get(package, "train"), "this command"))
    return str(problem)


def _tell(problem: Exception) -> int:
    """Tell an error; the exit code is 2 for what the person can mend, 1 for the rest."""
    told = _words(problem)
    if isinstance(problem, errors.DataError) and problem.rows:
        _list(problem.rows)
        told = told.splitlines()[0].rstrip(":") + (f"; {problem.note}" if problem.note else "")
    ours = isinstance(problem, (errors.SeqLossError, ImportError, OSError))
    known = told if ours else f"{type(problem).__name__}: {told}  (--debug shows where)"
    _warn("error:", f" {known}")
    return 2 if ours else 1


def _list(rows: list[errors.BadRow]) -> None:
    """A table of bad rows; where it is no terminal that shows it, nothing is folded: columns between tabs."""
    cells = [(_plain(row.file), "" if row.row is None else str(row.row), _plain(row.reason)) for row in rows]
    names = ("file", "row", "reason")
    if not err.is_terminal:
        print("\n".join("\t".join(line) for line in [names, *cells]), file=sys.stderr)
        return
    table = Table(title="rows that cannot be used")
    for name in names:
        table.add_column(name, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    err.print(table)


if __name__ == "__main__":
    main()
