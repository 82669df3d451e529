"""Completion in a shell: the scripts, and what they ask the application."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from seqloss.recipes import RECIPES


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_is_shown_whatever_shell_started_the_command(seqloss, shell) -> None:
    code, out, err = seqloss("--show-completion", shell)
    assert (code, err) == (0, "")
    assert f"complete_{shell}" in out
    assert "_SEQLOSS_COMPLETE" in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_accepts_its_script(seqloss) -> None:
    _, script, _ = seqloss("--show-completion", "bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("seqloss tr", ["train", "transcribe"]),
        ("seqloss train ", list(RECIPES)),
        ("seqloss train ocr --rot", ["--rotate"]),
        ("seqloss verify --few", ["--few-shapes"]),
    ],
)
def test_what_can_follow_is_offered(seqloss, monkeypatch, typed, offered) -> None:
    monkeypatch.setenv("_SEQLOSS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    code, out, err = seqloss()
    assert (code, out.split(), err) == (0, offered, "")


def test_the_script_is_installed_where_bash_reads_it(seqloss, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert seqloss("--install-completion", "bash")[0] == 0
    script = tmp_path / ".bash_completions/seqloss.sh"
    assert "_SEQLOSS_COMPLETE" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_an_unknown_shell_is_refused_with_the_known_ones(seqloss) -> None:
    code, out, err = seqloss("--show-completion", "tcsh")
    assert (code, out) == (2, "")
    assert all(shell in err for shell in ("bash", "zsh", "fish"))
