"""`seqloss doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqloss.cli import console
from seqloss.errors import OptionError, unknown_choice

if TYPE_CHECKING:
    from seqloss.doctor.findings import Findings
    from seqloss.doctor.folder.contents import FolderOptions

EXAMPLES = "Examples: seqloss doctor pages; seqloss doctor recordings --subsampling 2 --json findings.json"


def doctor(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of images or recordings and their texts (docs/guides/data.md), or the file with the texts."
        ),
    ],
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="The vocabulary.json of a run: texts have to come back from it.", show_default=False),
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="Another folder, whose rows are all held out.", show_default=False)
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Layout of the folder. Default: recognised.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images, if they are not in that of the texts.", show_default=False),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(help="Folder of the recordings, if they are not in that of the texts.", show_default=False),
    ] = None,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Read files behind links that lead out of the data folder.")
    ] = False,
    units: Annotated[str, typer.Option(help="What is predicted: characters, words or phones.")] = "characters",
    height: Annotated[int, typer.Option(help="Height in pixels that images are scaled to.")] = 32,
    rate: Annotated[int, typer.Option(help="Sampling rate in Hz that recordings are converted to.")] = 16_000,
    subsampling: Annotated[
        int, typer.Option(help="Pixels, or feature frames of 10 ms, for each frame of the network.")
    ] = 4,
    rotate: Annotated[int, typer.Option(help="Turn every image clockwise by 90, 180 or 270 degrees.")] = 0,
    normalize: Annotated[
        str, typer.Option(help="Unicode normal form of the texts of images: NFC, NFKC or none.")
    ] = "NFC",
    direction: Annotated[
        str, typer.Option(help="Base direction of the texts of images: auto, ltr, rtl or visual.")
    ] = "auto",
    json: Annotated[
        Path | None, typer.Option(help="Also write the findings to a JSON file.", show_default=False)
    ] = None,
) -> None:
    """Examine data before training: rows, texts, copies and splits.

    The exit code is 1 with an error, 0 with nothing or with warnings only.
    """
    from seqloss.data.vocabulary import Vocabulary
    from seqloss.doctor.folder.contents import FolderOptions
    from seqloss.doctor.folder.examination import examine_folder

    known = None if vocabulary is None else Vocabulary.load(vocabulary)
    options = FolderOptions(
        layout=layout, images=images, audio=audio, follow_links=follow_links, held_out=held_out, vocabulary=known,
        units=units, height=height, rate=rate, subsampling=subsampling, rotate=rotate, normalize=normalize,
        direction=direction,
    )  # fmt: skip
    _check_options(options)
    with console.progress_bar("examining the data") as progress:
        found = examine_folder(data, options, print_line=_print_line, progress=progress)
    if json is not None:
        from seqloss.data.atomic_write import write_atomically

        write_atomically(json, found.to_json() + "\n")
    _show(found)
    raise typer.Exit(found.exit_code)


def _check_options(options: FolderOptions) -> None:
    """Hold the options against the values that the recipes take."""
    from seqloss.data.line_heights import check_height
    from seqloss.data.texts import NORMALIZATIONS
    from seqloss.data.vocabulary import UNITS
    from seqloss.recipes.ocr.settings import DIRECTIONS, ROTATIONS

    for name, known in (
        ("units", UNITS), ("rotate", ROTATIONS), ("normalize", NORMALIZATIONS), ("direction", DIRECTIONS)
    ):  # fmt: skip
        if (found := getattr(options, name)) not in known:
            raise unknown_choice(f"--{name}", found, known)
    check_height(options.height)
    for name, low, high in (("rate", 4000, 48_000), ("subsampling", 1, 64)):
        if not low <= (found := getattr(options, name)) <= high:
            raise OptionError(f"--{name}: found {found}, expected {low} to {high}.")


def _print_line(line: str) -> None:
    console.print_line(console.escape_control(line))


def _show(found: Findings) -> None:
    """A table on stdout, or a line if nothing was found."""
    if not found:
        console.print_line(f"nothing found; checked: {', '.join(found.checked)}")
        return
    from rich.console import Console

    Console(highlight=False).print(found.table())
