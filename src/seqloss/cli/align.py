"""`seqloss align`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqloss import errors
from seqloss.cli import console
from seqloss.cli.exit_codes import REFUSED
from seqloss.cli.messages import describe_error
from seqloss.data.tables import decode_text
from seqloss.recipes import load_task
from seqloss.recipes.recognition.segments import WRITERS, Alignment, to_json

TABLE, FORMATS = "table", tuple(WRITERS)
EXAMPLES = (
    'Examples: seqloss align RUN talk.wav "what is said in it"; '
    "seqloss align RUN talk.wav --text-file talk.txt --out talk.TextGrid"
)


def align(
    run: Annotated[Path, typer.Argument(help="Folder of a trained run of the speech recipe.")],
    audio: Annotated[Path, typer.Argument(help="Recording, of any length.")],
    text: Annotated[
        str | None,
        typer.Argument(help="What is said in it: the text itself, not the name of a file.", show_default=False),
    ] = None,
    text_file: Annotated[
        Path | None,
        typer.Option(help="A UTF-8 file with the text instead. Its line breaks count as spaces.", show_default=False),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"{TABLE}, {', '.join(FORMATS)}. Default: by the suffix of --out, else {TABLE}. "
            "CTM and SRT have words (or phones) only.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: stdout.", show_default=False)] = None,
) -> None:
    """Find when each character and word of a known text is said (forced alignment).

    Times are in seconds. A confidence is between 0 and 1: exp of the mean log-probability over the frames.
    """
    chosen = _choose_format(file_format, out)
    said = _read_text(text, text_file)
    task = load_task(run)
    from seqloss.training.predictor import Predictor
    from seqloss.training.run import Run

    try:
        found = Predictor(task, Run(run)).align(audio, said)
    except errors.DataError as problem:
        console.warn(str(audio), f": {describe_error(problem)}")
        raise typer.Exit(REFUSED) from None
    if out is None:
        print(_write(found, chosen), end="", flush=True)
        return
    from seqloss.data.atomic_write import write_atomically

    write_atomically(out, _write(found, chosen, to_file=True))
    console.print_line(f"wrote {out}")


def _choose_format(given: str | None, out: Path | None) -> str:
    suffix = out.suffix.lower().removeprefix(".") if out else ""
    chosen = given or (suffix if suffix in FORMATS else "" if out else TABLE)
    if not chosen:
        names = ", ".join(f".{name}" for name in FORMATS)
        raise errors.OptionError(f"--out: found suffix {out and out.suffix!r}, expected {names}; or give --format.")
    if chosen not in (TABLE, *FORMATS):
        raise errors.unknown_choice("--format", chosen, (TABLE, *FORMATS))
    return chosen


def _read_text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        found = "neither TEXT nor" if text is None else "both TEXT and"
        raise errors.OptionError(f"found {found} --text-file; give the text itself, or the file that holds it.")
    return text or "" if file is None else decode_text(file.read_bytes(), file)


def _write(found: Alignment, chosen: str, *, to_file: bool = False) -> str:
    if chosen == TABLE:
        return to_table(found)
    if chosen == "json":
        return to_json(found, ascii_only=not to_file and not (sys.stdout.encoding or "").lower().startswith("utf"))
    return WRITERS[chosen](found)


def to_table(found: Alignment) -> str:
    """A line for each segment, its columns separated by tabs."""
    lines = ["tier\tstart\tend\tconfidence\ttext"]
    for name, segments in found.tiers.items():
        lines += [f"{name}\t{s.start:.3f}\t{s.end:.3f}\t{s.confidence:.3f}\t{s.text}" for s in segments]
    return "\n".join(lines) + "\n"
