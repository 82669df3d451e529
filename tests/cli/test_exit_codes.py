"""Exit codes: the page has every one, and commands take them from one place."""

from __future__ import annotations

import re

import typer

from seqloss.cli import exit_codes
from seqloss.cli.app import CHECK, ORDER, TRAIN, USE, app
from seqloss.training import trainer

from ..pages import ROOT, read_page
from ..test_page_facts import table_rows

PAGE = read_page("docs/guides/command-line.md")
COMMANDS = typer.main.get_command(app).commands


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    rows = {int(code): meaning for code, meaning, *_ in table_rows(PAGE, "Exit codes")}
    assert rows == exit_codes.MEANINGS


def test_a_command_takes_its_exit_code_from_there() -> None:
    sources = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "src/seqloss/cli").glob("*.py")}
    assert {name for name, source in sources.items() if re.search(r"Exit\(\d|return [12]\b|exit\(\d", source)} == set()
    assert trainer.TERMINATED == exit_codes.TERMINATED


def test_the_page_has_every_command_in_its_group_and_in_order() -> None:
    groups = {title: re.findall(r"`seqloss (\w+)", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0])
              for title in (TRAIN, USE, CHECK)}  # fmt: skip
    known = {name: command.rich_help_panel for name, command in COMMANDS.items()}
    for title, names in groups.items():
        assert [name for name in dict.fromkeys(names) if known[name] == title] == [
            name for name in ORDER if known[name] == title
        ]


def test_every_command_has_an_example_in_its_help_and_in_that_of_all() -> None:
    root = typer.main.get_command(app)
    for name, command in COMMANDS.items():
        assert f"seqloss {name} " in command.epilog, name
        assert f"seqloss {name} " in root.epilog, name
