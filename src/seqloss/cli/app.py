"""The application: its commands, signals and exit codes."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seqloss import __version__
from seqloss.cli import align, console, doctor, export, report, train, transcribe, verify
from seqloss.cli.messages import report_error

INTERRUPTED, TERMINATED = 130, 143


class Commands(TyperGroup):
    """The commands; a signal that ends one is reported in a line."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            code = INTERRUPTED
        except SystemExit as left:
            if left.code != TERMINATED:
                raise
            code = TERMINATED
        safe = "; finished epochs are safe, and the same command resumes the run"
        console.err.print(f"interrupted{safe if ctx.invoked_subcommand == 'train' else ''}.", soft_wrap=True)
        raise typer.Exit(code)


app = typer.Typer(
    cls=Commands,
    help="Train models with verified sequence losses, use them, and verify other implementations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(train.make_app(), name="train")
app.command()(transcribe.transcribe)
app.command(epilog=align.EXAMPLES)(align.align)
app.command()(report.report)
app.command()(export.export)
app.command(epilog=verify.EXAMPLES)(verify.verify)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)


def main() -> None:
    """Run a command. An error is printed as one message, with a traceback only with --debug."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names that are not UTF-8
    try:
        app(args=arguments, prog_name="seqloss")
    except Exception as problem:
        if debug:
            raise
        sys.exit(report_error(problem))


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
