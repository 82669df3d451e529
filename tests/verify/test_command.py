"""`seqloss verify`: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from seqloss.cli import main
from seqloss.verify import Effort
from tests.verify.mutants.planted import MUTANTS, PLAIN, source_of

WRONG = next(mutant for mutant in MUTANTS if mutant.name == "softmax-twice")
CARELESS = next(mutant for mutant in MUTANTS if mutant.name == "unclamped")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def command(folder: Path) -> Iterator[Command]:
    """`seqloss verify` in this process, which is spared the imports; it tries less hard."""
    from seqloss.verify import command as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "QUICK", Effort(examples=2, seconds=1.0, minimize=False, powers=()))
        patch.chdir(folder)

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            patch.setattr(sys, "argv", ["seqloss", "verify", *map(str, arguments)])
            printed = redirect_stdout(StringIO()), redirect_stderr(StringIO())
            with printed[0] as out, printed[1] as err, pytest.raises(SystemExit) as left:
                main()
            return subprocess.CompletedProcess([], left.value.code or 0, out.getvalue(), err.getvalue())

        yield run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A right implementation, one that is right but careless, and a wrong one, as somebody would have them."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "right.py").write_text(PLAIN.read_text())
    (folder / "careless.py").write_text(source_of(CARELESS))
    (folder / "wrong.py").write_text(source_of(WRONG))
    return folder


@pytest.fixture(scope="module")
def told(command: Command) -> subprocess.CompletedProcess[str]:
    return command("wrong.py:ctc", "right.py:ctc", "--html", "page.html")


def test_a_broken_law_is_told_with_its_cause_and_exit_code_1(told: subprocess.CompletedProcess[str]) -> None:
    assert told.returncode == 1, told.stderr
    assert "likely cause: softmax is applied twice" in told.stdout
    assert re.search(r"certain-path +│ +X +│ +\+", told.stdout), told.stdout
    assert "right.py:ctc: all 31 checked laws hold; 1 skipped (use --full); 1 not supported" in told.stdout


def test_the_lines_that_are_printed_run_and_show_it(told: subprocess.CompletedProcess[str], folder: Path) -> None:
    lines = told.stdout.split("Script to reproduce it:\n\n")[1]
    script = lines[: lines.index("# found:")]
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("["), ran.stdout


def test_the_page_is_written_whole_and_alone(told: subprocess.CompletedProcess[str], folder: Path) -> None:
    page = (folder / "page.html").read_text()
    assert "softmax is applied twice" in page
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", page), "a page of its own loads nothing"
    assert not (folder / "page.html.part").exists()


def test_right_ones_leave_with_0_and_json_says_ok(folder: Path, command: Command) -> None:
    ran = command("right.py:ctc", "--json")
    assert ran.returncode == 0, ran.stderr
    (report,) = json.loads(ran.stdout)
    assert report["ok"] is True
    assert {result["status"] for result in report["results"]} == {"holds", "not supported", "skipped"}
    assert [figure["dtype"] for figure in report["numerical_errors"]] == ["float64", "float32"]


def test_remarks_leave_with_0_and_with_1_if_strict(command: Command) -> None:
    ran = command("careless.py:ctc", "--dtype", "float64")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "careless.py:ctc: no result is wrong; 1 remark; 30 laws hold" in ran.stdout
    assert "remark, non-negative: expected row 0: a loss of 0 or more, found row 0: loss -" in ran.stdout
    assert re.search(r"non-negative +│ +! ", ran.stdout), ran.stdout
    ran = command("careless.py:ctc", "--dtype", "float64", "--strict", "--json")
    assert ran.returncode == 1, ran.stderr
    (report,) = json.loads(ran.stdout)
    assert (report["ok"], report["strictly_ok"]) == (True, False)
    findings = [result["finding"] for result in report["results"] if result["finding"]]
    assert [finding["severity"] for finding in findings] == ["careless"]


@pytest.mark.long
def test_a_law_that_was_not_promised_is_not_held_against_it(folder: Path, command: Command) -> None:
    ran = command("wrong.py:ctc", "--without", "certain-path", "--json")
    statuses = {result["law"]: result["status"] for result in json.loads(ran.stdout)[0]["results"]}
    assert statuses["certain-path"] == "not supported"
    assert statuses["definition"] == "violated"


def test_a_network_s_own_outputs_are_held_against_the_definition(folder: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    arrays = {"logits": rng.normal(size=(3, 9, 5)), "targets": rng.integers(1, 5, (3, 2)), "blank": 0}
    np.savez(folder / "out.npz", **arrays, logit_lengths=[9, 8, 7], target_lengths=[2, 1, 2])
    ran = command("right.py:ctc", "wrong.py:ctc", "--logits", "out.npz", "--json")
    assert ran.returncode == 1, ran.stderr
    right, wrong = (report["numerical_errors"][0] for report in json.loads(ran.stdout))
    assert right["rows"] == 3
    assert right["worst"] < 1e-12
    assert wrong["worst"] > 0.1
    assert (right["inaccurate"], wrong["inaccurate"]) == (0, 3)
    ran = command("right.py:ctc", "--logits", "out.npz")
    assert ran.returncode == 0
    assert "gradient, worst" in ran.stdout
    assert "right.py:ctc, float64: all 3 rows are correct up to rounding." in ran.stdout


def test_rows_that_no_path_fits_are_counted_apart(folder: Path, command: Command) -> None:
    logits = np.random.default_rng(0).normal(size=(3, 3, 5))
    np.savez(folder / "tight.npz", logits=logits, targets=[[1, 1, 1], [1, 2, 3], [4, 4, 4]])
    told = command("right.py:ctc", "--logits", "tight.npz")
    assert told.returncode == 0, told.stderr
    assert "2 of 3 rows are infeasible" in told.stdout
    np.savez(folder / "none.npz", logits=logits[:1], targets=[[1, 1, 1]])
    told = command("right.py:ctc", "--logits", "none.npz")
    assert told.returncode == 0, told.stderr
    assert "1 of 1 rows are infeasible" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "'nobody' is not a known implementation"),
        (["nowhere.py:ctc"], "there is no file nowhere.py"),
        (["right.py:of_mine"], "of_mine"),
        (["right.py:ctc", "--blank", "middle"], "--blank: found 'middle', expected one of any, first, last"),
        (["right.py:ctc", "--without", "gravity"], "--without: found 'gravity', expected one of answers"),
        (["right.py:ctc", "--dtype", "int8"], "--dtype: found 'int8', expected one of float64"),
        (["right.py:ctc", "--logits", "nowhere.npz"], "nowhere.npz: No such file"),
        (["right.py:ctc", "--logits", "right.py"], "right.py: not an .npz of arrays"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_code_2(command: Command, arguments: list[str], words: str) -> None:
    ran = command(*arguments)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert words in ran.stderr, ran.stderr
    assert "Traceback" not in ran.stderr


def test_outputs_that_do_not_fit_are_told(folder: Path, command: Command) -> None:
    np.savez(folder / "short.npz", logits=np.zeros((1, 2, 3)))
    assert "no array 'targets', only logits" in command("right.py:ctc", "--logits", "short.npz").stderr
    np.savez(folder / "label.npz", logits=np.zeros((1, 2, 3)), targets=[[7]])
    assert "targets[0, 0]: found label 7" in command("right.py:ctc", "--logits", "label.npz").stderr


def test_a_blank_that_is_no_class_is_told(folder: Path, command: Command) -> None:
    for blank, words in (([0, 1], "blank is int64 of shape (2,)"), ("zero", "blank is <U4 of shape ()")):
        np.savez(folder / "blank.npz", logits=np.zeros((1, 2, 3)), targets=[[1]], blank=blank)
        ran = command("right.py:ctc", "--logits", "blank.npz")
        assert (ran.returncode, words in ran.stderr) == (2, True), ran.stderr
    np.save(folder / "alone.npy", np.zeros((1, 2, 3)))
    ran = command("right.py:ctc", "--logits", "alone.npy")
    assert (ran.returncode, "not an .npz of arrays" in ran.stderr) == (2, True), ran.stderr


def test_the_known_ones_are_listed(command: Command) -> None:
    listed = command("--list").stdout
    assert "seqloss.torch.CTCLoss" in listed
    assert "warpctc-pytorch is not installed" in listed
    assert re.search(r"refuses-labels +│ careless +│ A label outside", listed), listed
    assert re.search(r"definition +│ wrong +│ loss = ", listed), listed


def test_a_named_case_that_is_answered_by_nan_as_it_should_be_is_right(folder: Path) -> None:
    from seqloss.verify import Effort, verify

    report = verify(f"{folder / 'right.py'}:ctc", effort=Effort(examples=1, powers=()), in_subprocess=False)
    assert [case.case for case in report.cases if not case.right] == []
