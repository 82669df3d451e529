"""Every command on the pages can be given: programs, subcommands, options, make targets, extras and files exist."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from seqloss.cli.app import app

from ..pages import PAGES, ROOT, blocks_of, inline_code

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
PLUGIN = (ROOT / "src/seqloss/pytest_plugin.py").read_text(encoding="utf-8")
PYTEST_OPTIONS = {"-m", "-k", "-x", "-q", "-n"}
COMMAND = typer.main.get_command(app)


def check_seqloss(arguments: list[str]) -> None:
    """Parse as the command line does; a command is not started."""
    command, name = COMMAND, "seqloss"
    while hasattr(command, "resolve_command"):
        own = arguments if arguments and arguments[0].startswith("-") else []  # --show-completion has a value
        context = command.make_context(name, list(own), resilient_parsing=True)  # which empties the list
        if own or not arguments:
            assert not own or own[0] in options_of(command), own
            return
        name, command, arguments = command.resolve_command(context, arguments)
    if arguments != ["--help"]:
        command.make_context(name, arguments)


def options_of(command: object) -> set[str]:
    """With those that switch off: --no-speed."""
    options = (option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts])
    return {option for option in options if option.startswith("-")} | {"--help"}


def all_options(command: object = COMMAND) -> set[str]:
    """The options of all commands of seqloss."""
    inner = getattr(command, "commands", {}).values()
    return options_of(command).union(*(all_options(below) for below in inner))


def check_make(arguments: list[str]) -> None:
    for target in (word for word in arguments if "=" not in word):
        assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"the Makefile has no target {target}"


def check_pip(arguments: list[str]) -> None:
    """An extra of seqloss' is one of pyproject.toml's."""
    assert arguments[0] in {"install", "wheel"}
    for requirement in arguments[1:]:
        extras = re.fullmatch(r"(?:seqloss|\.)\[([\w,-]+)\]", requirement)
        for extra in extras.group(1).split(",") if extras else []:
            assert extra in EXTRAS, f"pyproject.toml has no extra {extra}"


def check_python(arguments: list[str]) -> None:
    """A script exists, and has the options that it is given: by name, or as parameters that Typer reads."""
    script = ROOT / arguments[0]
    assert script.is_file(), f"no file {arguments[0]}"
    source = script.read_text(encoding="utf-8")
    for option in arguments[1:]:
        named = re.search(rf'"{option}"|\b{option.lstrip("-").replace("-", "_")}: ', source)
        assert not option.startswith("--") or named, f"{arguments[0]} has no option {option}"


def check_pytest(arguments: list[str]) -> None:
    for argument in arguments:
        if argument.startswith("--ctc"):
            assert f'"{argument.partition("=")[0]}"' in PLUGIN, argument
        elif argument.startswith("-"):
            assert argument in PYTEST_OPTIONS, argument
        elif "/" in argument:
            assert (ROOT / argument).exists(), f"no file {argument}"


def check_sanitizer(arguments: list[str]) -> None:
    check_python(arguments[arguments.index("python") + 1 :])


def check_nothing(arguments: list[str]) -> None:
    """A program of somebody else's."""


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "seqloss": check_seqloss,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "pytest": check_pytest,
    "compute-sanitizer": check_sanitizer,
    "tensorboard": check_nothing,
    "export": check_nothing,
}


def check_command(line: str) -> None:
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z_]+=", words[0]):
        del words[0]
    if words:
        PROGRAMS[Path(words[0]).name](words[1:])


def commands_of(page: str) -> Iterator[tuple[str, str]]:
    for block in blocks_of(page):
        if block.language == "bash":
            for line in block.code.replace("\\\n", " ").splitlines():
                yield block.place, line


@pytest.mark.parametrize("page", PAGES)
def test_a_command_in_a_block_can_be_given(page: str) -> None:
    for place, line in commands_of(page):
        try:
            check_command(line)
        except (Exception, SystemExit) as problem:
            raise AssertionError(f"{place}: {line}: {problem!r}") from problem


@pytest.mark.parametrize("page", PAGES)
def test_a_command_in_the_text_names_what_exists(page: str) -> None:
    known = all_options() | set(re.findall(r'"(--[\w-]+)"', PLUGIN))
    for code in inline_code(page):
        first, *rest = code.split()
        if first in {"make", "pip"}:
            check_command(code)
        elif first == "seqloss" and rest:
            missing = {word for word in rest if word.startswith("-")} - known
            assert not missing, f"{page}: {code}: no option {missing}"
            assert rest[0] in COMMAND.commands or rest[0].startswith("-"), f"{page}: {code}: no such command"
        elif first.startswith("--"):
            assert first.partition("=")[0] in known, f"{page}: {code}: no such option"
