"""`seqloss verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqloss.cli import console
from seqloss.cli.exit_codes import FOUND

EXAMPLES = "Examples: seqloss verify mine.py:ctc; seqloss verify torch optax; seqloss verify torch --logits out.npz"


def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Functions (package.module:function or file.py:function) or names of known implementations (see "
            "--list). A function takes the NumPy arrays logits, targets, logit_lengths, target_lengths, and blank, and "
            "returns loss or (loss, gradient). Default: all known implementations that are installed.",
            show_default=False,
        ),
    ] = None,
    known: Annotated[
        bool, typer.Option("--list", help="List the known implementations and the laws, and exit.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Search for minutes, and include large sizes.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the random search.")] = 0,
    limit: Annotated[
        float | None,
        typer.Option(help="Time limit per call in seconds. Default: 20, or 120 with --full.", show_default=False),
    ] = None,
    logits: Annotated[
        Path | None,
        typer.Option(
            help="Measure the numerical error on the outputs of your model instead. An .npz file with logits, targets, "
            "logit_lengths, target_lengths, blank.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        typer.Option(help="A type of logits that your function supports; repeatable.", show_default=False),
    ] = None,
    blank: Annotated[str, typer.Option(help="Blanks that your function supports: any, first or last.")] = "any",
    lengths: Annotated[str, typer.Option(help="Lengths that your function takes: both, labels or none.")] = "both",
    log_probs: Annotated[
        bool, typer.Option("--log-probs", help="Your function takes log-probabilities, not logits.")
    ] = False,
    few_shapes: Annotated[
        bool, typer.Option("--few-shapes", help="Your function compiles for each shape: use few shapes.")
    ] = False,
    zero_infinity: Annotated[
        bool,
        typer.Option(
            "--zero-infinity",
            help="Your function gives infeasible rows a loss of 0 and a gradient of 0, not a loss of inf.",
        ),
    ] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(help="A law that your function is not meant to satisfy; repeatable.", show_default=False),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also exit with code 1 if a result is careless: after remarks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the reports to an HTML file.", show_default=False)
    ] = None,
) -> None:
    """Verify CTC implementations: check laws, cases from bug reports, and the float64 reference.

    The exit code is 1 if a result of an implementation that you named is wrong: a loss, a gradient, a crash. Remarks
    (invalid arguments that are not refused, NaN for special input, a loss of -1e-16) do not change it without --strict.
    """
    from seqloss.verify import command

    scores = "log_probs" if log_probs else "logits"
    capabilities = command.Capabilities(
        tuple(dtype or ()), blank, lengths, scores, few_shapes, tuple(without or ()), zero_infinity
    )
    if known:
        command.print_known_implementations()
        return
    chosen = command.select_implementations(names or [], capabilities)
    if logits is not None:
        ok = command.evaluate_outputs(chosen, logits, console.err, as_json)
    else:
        ok = command.verify_implementations(
            chosen, console.err, full=full, seed=seed, limit=limit, as_json=as_json, html=html, strict=strict
        )
    if names and not ok:
        raise typer.Exit(FOUND)
