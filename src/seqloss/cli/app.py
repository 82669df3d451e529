"""The application: its commands, signals and exit codes."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seqloss import __version__
from seqloss.cli import align, console, doctor, export, report, train, transcribe, verify
from seqloss.cli.completion import InstallCompletion, ShowCompletion, complete_for_shells
from seqloss.cli.exit_codes import INTERRUPTED, TERMINATED
from seqloss.cli.messages import report_error

TRAIN, USE, CHECK = "Train a model", "Use a trained model", "Check data and losses"
ORDER = ("train", "transcribe", "align", "report", "export", "doctor", "verify")
"""The commands as the help shows them; Typer puts groups last."""

EXAMPLES = """Examples:

seqloss train ocr --data pages --out runs/pages

seqloss transcribe runs/pages new.png --json

seqloss align runs/talks talk.wav "what is said in it"

seqloss report runs/pages

seqloss export runs/pages logits.npz

seqloss doctor pages

seqloss verify mine.py:ctc"""


class Commands(TyperGroup):
    """The commands; a signal that ends one is reported in a line."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

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
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,  # the options of `completion` instead
    pretty_exceptions_enable=False,
)
app.add_typer(train.make_app(), name="train", rich_help_panel=TRAIN)
app.command(rich_help_panel=USE, epilog=transcribe.EXAMPLES)(transcribe.transcribe)
app.command(rich_help_panel=USE, epilog=align.EXAMPLES)(align.align)
app.command(rich_help_panel=USE, epilog=report.EXAMPLE)(report.report)
app.command(rich_help_panel=USE, epilog=export.EXAMPLE)(export.export)
app.command(rich_help_panel=CHECK, epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(rich_help_panel=CHECK, epilog=verify.EXAMPLES)(verify.verify)


def main() -> None:
    """Run a command. An error is printed as one message, with a traceback only with --debug."""
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names that are not UTF-8
    complete_for_shells()
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
    show_completion: ShowCompletion = None,
    install_completion: InstallCompletion = None,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
