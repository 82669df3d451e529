"""The commands on the pages run, on small data, and print what the pages show."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ..page_output import missing_part
from ..pages import PAGES, ROOT, blocks_of
from ..recipes.speech.conftest import speech_task, train_speech  # noqa: F401 - fixtures
from .sections import Section, lines_of, sections
from .session import Session
from .setups import SETUPS, Setup, recordings

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")
EXACT = {"doctor", "verify", "--help"}
"""Commands whose output is the same on every machine."""


SECTIONS = sections()


@pytest.fixture(scope="session")
def trained_speech(tmp_path_factory: pytest.TempPathFactory, train_speech: Callable[..., object]) -> Path:  # noqa: F811
    """A run of a small speech recogniser; not to be written to."""
    home = tmp_path_factory.mktemp("speech")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQLOSS_CACHE_DIR", str(home / "cache"))
        recordings(home / "data")
        train_speech(home / "data", home / "run")
    return home / "run"


@pytest.fixture(scope="session")
def runs(trained: tuple[Path, Path, list[str]], trained_speech: Path) -> dict[str, Path]:
    return {"ocr": trained[1], "speech": trained_speech}


@pytest.fixture(scope="session")
def printed() -> dict[str, str]:
    return {}


@pytest.fixture
def open_session(
    tmp_path: Path,
    runs: dict[str, Path],
    printed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[[Setup], tuple[Session, str]]:  # fmt: skip
    """A session in a folder that holds what a setup makes, and what the commands before it printed."""

    def read() -> str:
        captured = capfd.readouterr()
        return captured.out + captured.err

    def start(setup: Setup) -> tuple[Session, str]:
        folder = tmp_path / f"folder-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, make in setup.files.items():
            make(folder / name)
        for name, kind in setup.runs.items():
            shutil.copytree(runs[kind], folder / name)
        session = Session(folder, setup.short, monkeypatch, read, printed, examine=setup.examine)
        return session, "".join(session.run(line) for line in setup.before)

    return start


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: f"{section[0]}#{section[1]}")
def test_the_commands_of_a_section_run_and_print_what_it_shows(
    section: Section, open_session: Callable[[Setup], tuple[Session, str]]
) -> None:
    setups = SETUPS[section]
    one = isinstance(setups, Setup)
    rest = iter([setups] if one else setups)
    session, printed, exactly = None, "", False
    for block in SECTIONS[section]:
        if session is None or (block.language == "bash" and not one):
            session, printed = open_session(next(rest))
        if block.language == "output":
            missing = missing_part(block.code, printed, exactly=exactly)
            assert missing is None, f"{block.place}: {missing}"
            continue
        for line in lines_of(block):
            try:
                printed += session.run(line)
            except (Exception, SystemExit) as problem:
                raise AssertionError(f"{block.place}: {line}: {problem!r}") from problem
        exactly = all(EXACT & set(line.split()) for line in lines_of(block) if line.startswith("seqloss "))


@pytest.mark.parametrize("page", PAGES)
def test_a_test_that_a_page_names_runs_its_commands_or_compares_its_output(page: str) -> None:
    for block in blocks_of(page):
        for name in re.findall(r"\btests/\S+\.py", block.reason or ""):
            source = (ROOT / name).read_text(encoding="utf-8")
            scripts = {Path(word).name for word in block.code.split() if word.startswith("examples/")}
            if block.language == "output":
                assert f'assert_shown("{page}"' in source, block.place
            else:
                assert scripts, block.place
                assert not [script for script in scripts if script not in source], block.place


@pytest.mark.parametrize("page", PAGES)
def test_results_that_a_page_names_are_saved(page: str) -> None:
    for block in blocks_of(page):
        for name in re.findall(r"\bbenchmarks/results/\S+\.json", block.reason or ""):
            assert (ROOT / name).is_file(), block.place


def test_every_setup_is_that_of_a_section() -> None:
    assert set(SETUPS) == set(SECTIONS)
