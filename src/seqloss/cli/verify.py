"""`seqloss verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqloss.cli import console

EXAMPLES = "Examples: seqloss verify mine.py:ctc; seqloss verify torch optax; seqloss verify torch --logits out.npz"


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
        good = command.hold_outputs(implementations, logits, console.err, as_json)
    else:
        good = command.run(implementations, console.err, full=full, seed=seed, limit=limit, as_json=as_json, html=html)
    if names and not good:
        raise typer.Exit(1)
