"""`pytest --ctc`: a test for each law."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seqloss.verify.laws import LAWS
from tests.verify.mutants.planted import MUTANTS, PLAIN, source_of


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, timeout=180)


def test_every_law_is_a_test(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLAIN.read_text())
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    ran = pytest_in(tmp_path, "--ctc", "mine.py:ctc", "--collect-only", "test_other.py")
    assert ran.returncode == 0, ran.stdout
    assert [law.name for law in LAWS if f"<LawItem {law.name}>" not in ran.stdout] == []


@pytest.mark.long
def test_every_law_is_a_test_that_passes(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLAIN.read_text())
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    ran = pytest_in(tmp_path, "--ctc", "mine.py:ctc", "test_other.py")
    assert ran.returncode == 0, ran.stdout
    assert "32 passed, 2 skipped" in ran.stdout
    assert "mine.py:ctc: sums-to-1 PASSED" in ran.stdout or "sums-to-1" in ran.stdout


def test_a_broken_law_fails_with_its_lines(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "divided-by-batch")
    (tmp_path / "mine.py").write_text(source_of(mutant))
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    ran = pytest_in(tmp_path, "--ctc", "mine.py:ctc", "-k", "batch-mates", "test_other.py")
    assert ran.returncode == 1
    assert "batch-mates: expected" in ran.stdout
    assert "likely cause: the losses are divided by the batch size" in ran.stdout
    assert "from mine import ctc" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_laws_are_chosen_by_name_as_tests_are(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLAIN.read_text())
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    ran = pytest_in(tmp_path, "--ctc", "mine.py:ctc", "-k", "sums-to-1 or padding", "test_other.py")
    assert "3 passed" in ran.stdout, ran.stdout  # nan-in-padding is one of them


def test_promises_are_told_as_to_the_command(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "blank-always-0")
    (tmp_path / "mine.py").write_text(source_of(mutant))
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    words = "--ctc", "mine.py:ctc", "--ctc-blank", "first", "--ctc-without", "cut", "-k", "cut or relabelling"
    ran = pytest_in(tmp_path, *words, "test_other.py")
    assert ran.returncode == 0, ran.stdout
    assert "1 passed, 1 skipped" in ran.stdout


def test_a_careless_result_is_a_warning_and_fails_if_strict(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "negative-length")
    (tmp_path / "mine.py").write_text(source_of(mutant))
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    words = "--ctc", "mine.py:ctc", "-k", "refuses-lengths", "test_other.py"
    ran = pytest_in(tmp_path, *words)
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
    assert "CarelessResult: mine.py:ctc: refuses-lengths: expected an error" in ran.stdout
    ran = pytest_in(tmp_path, *words, "--ctc-strict")
    assert ran.returncode == 1, ran.stdout
    assert "refuses-lengths: expected an error" in ran.stdout


def test_what_nobody_knows_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    ran = pytest_in(tmp_path, "--ctc", "nobody", "test_other.py")
    assert ran.returncode == 4, ran.stdout
    assert "'nobody' is not a known implementation" in ran.stderr
    ran = pytest_in(tmp_path, "--ctc", "nowhere.py:ctc", "test_other.py")
    assert "1 failed" in ran.stdout, ran.stdout
    assert "there is no file nowhere.py" in ran.stdout


def test_without_the_option_nothing_is_imported() -> None:
    code = "import sys, seqloss.pytest_plugin; print({'numpy', 'hypothesis', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
