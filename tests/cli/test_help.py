"""Help and usage, as a newcomer meets them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seqloss import __version__
from seqloss.cli.train import make_app
from seqloss.recipes import RECIPES
from seqloss.training import engine

from ..pages import assert_shown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], ["train", "transcribe", "Transcribe files with a trained run"]),
        (["train", "--help"], ["ocr", "again resumes the run"]),
        (
            ["train", "ocr", "--help"],
            ["--data", "--out", "--skip-bad", "--fresh", "adamw, adam, sgd or smorms3", "Example: "],
        ),
        (["transcribe", "--help"], ["--json", "one text line each"]),
        (["align", "--help"], ["the text itself, not the name of a file", "--text-file", "textgrid, ctm, srt, json"]),
    ],
)
def test_help_names_what_can_be_done(seqloss, monkeypatch, arguments, shown) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = seqloss(*arguments)
    assert code == 0
    assert all(words in out for words in shown)


def test_version_is_printed_alone(seqloss) -> None:
    assert seqloss("--version") == (0, f"{__version__}\n", "")


def test_without_arguments_the_commands_are_shown(seqloss) -> None:
    code, out, _ = seqloss()
    assert code == 2
    assert "transcribe" in out


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["train", "ocr", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["trane"], "No such command 'trane'"),
        (["transcribe", "run"], "Missing argument"),
        (["train", "ocr", "--colour"], "No such option: --colour"),
    ],
)
def test_a_usage_error_is_shown_without_a_traceback(seqloss, arguments, shown) -> None:
    code, out, err = seqloss(*arguments)
    assert (code, out) == (2, "")
    assert shown in err
    assert "Traceback" not in err


def test_python_m_seqloss_is_the_same_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "seqloss", "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{__version__}\n"


def test_without_the_extra_the_error_names_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from seqloss.cli import main"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = "the command line needs typer, which is not installed: pip install 'seqloss[train]'."
    assert shown.stderr == f"seqloss: {expected}\n"


@pytest.mark.parametrize(("module", "extra"), [("lightning.pytorch", "train"), ("soundfile", "speech")])
def test_a_package_that_training_lacks_is_named_with_its_extra(seqloss, monkeypatch, module, extra) -> None:
    def train(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(engine, "train", train)
    code, _, err = seqloss("train", "ocr")
    assert code == 2
    package = module.partition(".")[0]
    assert err == f"error: this command needs {package}, which is not installed: pip install 'seqloss[{extra}]'.\n"
    if package == "soundfile":
        assert_shown("docs/start/install.md", "which is not installed", err, exactly=True)


def test_the_help_shows_the_defaults_of_the_settings(seqloss, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = seqloss("train", "ocr", "--help")
    words = " ".join(out.split())
    for shown in ("[default: 60, or 12 for synthetic words]", "[default: 8192]", "[default: adamw]", "[default: auto]"):
        assert shown in words
    assert "--validation-synthetic" not in words  # not annotated: for Python alone


def test_each_recipe_has_a_command() -> None:
    assert [command.name for command in make_app().registered_commands] == list(RECIPES)


def test_options_reach_settings_and_run_options(seqloss, monkeypatch, tmp_path) -> None:
    calls = []
    monkeypatch.setattr(engine, "overfit", lambda task, count, options, **more: calls.append((task, count, options)))
    arguments = ["--data", tmp_path, "--lr", "0.5", "--fresh", "--workers", "0", "--precision", "64-true"]
    assert seqloss("train", "ocr", *arguments, "--overfit", "3")[0] == 1
    task, count, options = calls[0]
    assert (count, options.fresh, options.skip_bad, options.workers, options.precision) == (
        3,
        True,
        False,
        0,
        "64-true",
    )
    assert (task.settings.data, task.settings.lr, task.settings.epochs) == (str(tmp_path), 0.5, 60)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_examines_first_unless_it_is_told_not_to(seqloss, monkeypatch, tmp_path, recipe: str) -> None:
    calls = []
    monkeypatch.setattr(engine, "overfit", lambda task, count, options, **more: calls.append(options.examine))
    monkeypatch.chdir(tmp_path)
    for given in ([], ["--examine"], ["--no-examine"]):
        seqloss("train", recipe, "--data", tmp_path, "--overfit", "3", *given)
    assert calls == [True, True, False]


def test_the_default_folder_is_named_after_recipe_and_data(seqloss, monkeypatch, tmp_path) -> None:
    folders = []

    def train(task, folder, *arguments: object, **options: object) -> None:
        folders.append(str(folder))
        raise SystemExit

    monkeypatch.setattr(engine, "train", train)
    seqloss("train", "ocr")
    seqloss("train", "ocr", "--data", tmp_path)
    assert folders == ["runs/ocr-synthetic", f"runs/ocr-{tmp_path.name}"]
