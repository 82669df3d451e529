"""`seqloss train RECIPE`: one command per recipe, with an option for each annotated field of its settings.

A new recipe needs nothing here: its entry in `seqloss.recipes.RECIPES` and its settings make the command.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from seqloss.cli import console
from seqloss.cli.exit_codes import FOUND
from seqloss.recipes import RECIPES, Recipe, load_task
from seqloss.training.settings import RunOptions, TrainingSettings

SPINS = "3000"
"""How long a thread of torch's waits for the others before it lets another process have the core. By default it spins
for a time slice and more, and beside a busy process a training was seen to fall from 240 images a second to 20."""


def make_app() -> typer.Typer:
    """The group of all recipes' commands."""
    app = typer.Typer(
        help="Train a model, or resume its training.", epilog="Example: seqloss train ocr --help", no_args_is_help=True
    )
    for name, recipe in RECIPES.items():
        epilog = f"Example: {recipe.example}. A run is resumed with the same settings only; --workers, --accelerator, "
        epilog += "--devices and --precision may differ."
        app.command(name, help=recipe.help, epilog=epilog)(make_command(name, recipe))
    return app


def make_command(name: str, recipe: Recipe) -> Callable[..., None]:
    """The function of a recipe's command; its parameters are the recipe's settings, then those of every run."""
    settings_class = recipe.settings_class()

    def command(**given: Any) -> None:
        given = {option: value for option, value in given.items() if value is not None}
        out, overfit = given.pop("out", None), given.pop("overfit", None)
        run_names = {field.name for field in dataclasses.fields(RunOptions)}
        options = RunOptions(**{option: given.pop(option) for option in run_names & given.keys()})
        settings = settings_class.from_options(given)
        folder = out or Path("runs") / f"{name}-{settings.dataset_name}"
        _run(recipe, settings, folder, options, overfit)

    out_help = f"Folder of the run. Default: runs/{name}- and the name of the data."
    overfit_help = "Overfit this many items as a check instead of training: no run is written; exit code 1 if it fails."
    parameters = {
        **dict(_parameters(settings_class, settings_class.defaults_for({}), settings_class.other_defaults)),
        "out": Annotated[Path | None, typer.Option(help=out_help, show_default=False)],
        "overfit": Annotated[int | None, typer.Option(help=overfit_help, show_default=False)],
        **dict(_parameters(RunOptions, {})),
    }
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # what Typer reads
        [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for option, kind in parameters.items()
        ]
    )
    command.__annotations__ = parameters
    return command


def _parameters(settings: type, without_options: Mapping[str, Any], when: str = "") -> Iterator[tuple[str, Any]]:
    """Name and annotation of the option of each annotated field, those of a subclass first.

    Args:
        settings: a dataclass.
        without_options: defaults that hold where no option is given.
        when: these hold, in words.
    """
    hints = get_type_hints(settings, include_extras=True)
    own = inspect.get_annotations(settings)
    for field in sorted(dataclasses.fields(settings), key=lambda field: field.name not in own):
        if get_origin(hints[field.name]) is not Annotated:
            continue
        kind, text, *_ = get_args(hints[field.name])
        if kind is bool:
            flag = f"--{field.name.replace('_', '-')}"
            if field.default:
                flag += f"/--no-{field.name.replace('_', '-')}"
            yield field.name, Annotated[bool | None, typer.Option(flag, help=text)]
            continue
        default, usual = field.default, without_options.get(field.name, field.default)
        shown = f"[default: {default}{'' if usual == default else f', or {usual} {when}'}]"
        text = text if default is None else f"{text} {shown.replace('[', chr(92) + '[')}"
        optional = kind | None  # None: not given
        yield field.name, Annotated[optional, typer.Option(help=text, show_default=False)]


def _run(recipe: Recipe, settings: TrainingSettings, folder: Path, options: RunOptions, overfit: int | None) -> None:
    """Train, or overfit a few items; then write the report."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded
    from seqloss.training import engine

    task = recipe.task_class()(settings)
    with console.progress_bar("checking the data" if overfit is None else "overfitting") as progress:
        if overfit is not None:
            if not engine.overfit(task, overfit, options, print_line=console.print_line, progress=progress):
                raise typer.Exit(FOUND)
            return
        engine.train(task, folder, options, print_line=console.print_line, progress=progress)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        from seqloss.report import write_report
        from seqloss.training.run import Run

        task = load_task(folder)
        console.print_line(f"report: {write_report(task, Run(folder), folder / 'report.html')}")
        if command := task.suggest_command(folder):
            console.print_line(command)
