"""Whatever an implementation does to its process, the verifier says so and goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqloss.errors import OptionError, VerifyError
from seqloss.verify import Effort, Implementation, Report, processes, verify
from seqloss.verify.laws import LAWS
from seqloss.verify.problem import make_problem
from seqloss.verify.processes import WorkerProcess

NAMES = [law.name for law in LAWS]
RIGHT = """
import os, sys, time
import numpy as np
from seqloss.numpy import ctc_loss_and_grad
def ctc(logits, targets, logit_lengths, target_lengths, blank):
    {mistake}
    loss, gradient = ctc_loss_and_grad(logits, targets, logit_lengths, target_lengths, blank=blank)
    {after}
    return {answer}
"""


def report_of(
    folder: Path,
    mistake: str = "pass",
    after: str = "pass",
    answer: str = "loss, gradient",
    first: bool = False,
    laws: Collection[str] = frozenset(NAMES),
    dtypes: tuple[str, ...] = ("float64", "float32"),
    limit: float = 1.0,
) -> Report:
    """Of these laws; the others are left out, since each asks many times. Calls may take `limit` seconds."""
    file = folder / "mine.py"
    file.write_text(RIGHT.format(mistake=mistake, after=after, answer=answer))
    left_out = {name: "left out" for name in NAMES if name not in laws}
    implementation = Implementation("mine", f"{file}:ctc", dtypes=dtypes, unsupported=left_out)
    return verify(implementation, effort=Effort(examples=3, seconds=1.0, limit=limit, powers=(), stop_at_first=first))


FEW = ("answers", "empty", "certain-path", "definition")


def law(report: Report, name: str) -> str:
    finding = next(result.finding for result in report.results if result.law == name)
    return "" if finding is None else finding.found


def test_one_that_is_right_is_ok(tmp_path: Path) -> None:
    report = report_of(tmp_path, mistake="print('printing harms nothing')", dtypes=("float64",), limit=30.0)
    assert report.strictly_ok, str(report)


def test_one_without_a_gradient_promised_none(tmp_path: Path) -> None:
    report = report_of(tmp_path, answer="loss", laws=(*FEW, "rows-sum-to-0"))
    assert report.strictly_ok, str(report)
    reasons = {result.law: result.reason for result in report.results}
    assert reasons["rows-sum-to-0"] == "it returns no gradient"


def test_a_crash_is_told_and_stops_nothing(tmp_path: Path) -> None:
    report = report_of(tmp_path, mistake="if len(logits) == 0: os.kill(os.getpid(), 11)", laws=FEW)
    assert "crashed (SIGSEGV)" in law(report, "empty")
    assert [result.law for result in report.violated] == ["empty"]


def test_a_crash_brings_the_last_words(tmp_path: Path) -> None:
    report = report_of(
        tmp_path, mistake="if len(logits) == 0: sys.stderr.write('out of cheese'), os._exit(3)", laws=FEW
    )
    assert "exit code 3" in law(report, "empty")
    assert "out of cheese" in law(report, "empty")


@pytest.mark.long
def test_one_that_always_crashes_is_given_up(tmp_path: Path) -> None:
    start = time.monotonic()
    report = report_of(tmp_path, mistake="os._exit(1)")
    assert report.first_violation is not None
    assert report.first_violation.law == "answers"
    assert time.monotonic() - start < 60


def test_a_hang_is_told_after_the_limit(tmp_path: Path) -> None:
    report = report_of(tmp_path, mistake="if logits.shape[2] == 1: time.sleep(60)", laws=FEW)
    assert "did not return within 1 s" in law(report, "empty")


def test_what_takes_its_time_once_is_not_timed_until_it_has_compiled(tmp_path: Path) -> None:
    """By the type of its scores, and again where they are hundreds of nats apart."""
    steep = "logits.size and np.abs(logits[np.isfinite(logits)]).max(initial=0) > 300"
    once = f"(key := (str(logits.dtype), bool({steep}))) in globals().setdefault('done', set()) or "
    report = report_of(tmp_path, mistake=once + "(time.sleep(1.3), done.add(key))", laws=(*FEW, "masked"))
    assert report.strictly_ok, str(report)


LATE = ("answers", "masked", "extreme-scores")


def test_a_call_that_takes_too_long_is_told_as_that_and_no_cause_is_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "COMPILING", 2.0)
    report = report_of(tmp_path, mistake="if np.abs(logits).max(initial=0) > 100: time.sleep(60)", laws=LATE)
    assert report.violated
    late = [result.finding for result in report.violated]
    assert all(finding is not None and finding.timed_out and not finding.cause for finding in late)
    assert {"masked", "extreme-scores"} <= {result.law for result in report.violated}
    assert "did not return within 1 s" in law(report, "masked")
    assert report.cause == ""
    assert "likely cause" not in str(report)


def test_one_that_never_answers_is_given_up_after_its_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "COMPILING", 2.0)
    start = time.monotonic()
    report = report_of(tmp_path, mistake="time.sleep(60)", laws=FEW)
    assert time.monotonic() - start < 30
    assert "did not return within 2 s" in law(report, "answers")
    assert "was not called: earlier calls exceeded the time limit" in law(report, "definition")
    assert report.cause == ""


def test_an_interrupt_ends_a_run_in_this_process_and_breaks_no_law() -> None:
    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(Implementation("interrupted", interrupted), in_subprocess=False)


def test_an_interrupt_that_the_function_itself_raises_is_told_from_its_process(tmp_path: Path) -> None:
    report = report_of(tmp_path, mistake="if len(logits) == 0: raise KeyboardInterrupt", laws=FEW)
    assert law(report, "empty") == "KeyboardInterrupt:"


def test_a_function_that_forks_does_not_mix_its_answers(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RIGHT.format(mistake="os.fork()", after="pass", answer="loss, gradient"))
    with WorkerProcess(Implementation("mine", f"{tmp_path / 'mine.py'}:ctc"), limit=10.0) as process:
        for frames in (1, 2, 3, 4):
            answer = process.call(make_problem(np.zeros((1, frames, 2)), [[]]), "float64")
            np.testing.assert_allclose(answer.loss, frames * np.log(2.0), err_msg=answer.failure or answer.raised)


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    started = "__import__('subprocess').Popen(['sleep', '600']).pid"
    report_of(
        tmp_path, mistake=f"os.path.exists({str(mark)!r}) or open({str(mark)!r}, 'w').write(str({started}))", laws=FEW
    )
    assert not _lives(int(mark.read_text()))


def test_it_does_not_outlive_who_asked(tmp_path: Path) -> None:
    """A call that hangs, and a parent that is killed."""
    mark = tmp_path / "pid"
    (tmp_path / "mine.py").write_text(
        f"import os, time\ndef ctc(*given):\n"
        f"    open({str(mark)!r}, 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-m", "seqloss", "verify", f"{tmp_path / 'mine.py'}:ctc"])
    until = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
        time.sleep(0.1)
    parent.terminate()
    parent.wait()
    child = int(mark.read_text())
    while time.monotonic() < until and _lives(child):
        time.sleep(0.1)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_list_of_two_losses_is_two_losses(tmp_path: Path) -> None:
    report = report_of(tmp_path, answer="list(loss)", laws=FEW)
    assert report.strictly_ok, str(report)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("loss[:, None], gradient", "the loss is float64 of shape"),
        ("loss.sum(), gradient", "the loss is float64 of shape ()"),
        ("loss, gradient.transpose(1, 2, 0)", "the gradient is float64 of shape"),
        ("loss.astype(int), gradient", "the loss is int64"),
        ("loss * np.nan, gradient", "the loss of row 0 is NaN"),
        ("loss, gradient * np.nan", "the gradient of row 0 is NaN"),
        ("None", "the loss is object"),
    ],
)
def test_answers_of_another_form_are_told(tmp_path: Path, answer: str, words: str) -> None:
    report = report_of(tmp_path, answer=answer, first=True)
    assert report.first_violation is not None
    assert report.first_violation.law == "answers"
    assert words in law(report, "answers")


def test_writing_into_an_argument_is_told(tmp_path: Path) -> None:
    report = report_of(tmp_path, after="logits *= 0.5", laws=(*FEW, "untouched"))
    assert [result.law for result in report.violated] == ["untouched"], str(report)
    assert "logits" in law(report, "untouched")


def test_a_function_is_sent_by_value() -> None:
    from seqloss.numpy import ctc_loss_and_grad

    factor = 2.0

    def doubled(logits, targets, logit_lengths, target_lengths, blank):
        return factor * ctc_loss_and_grad(logits, targets, logit_lengths, target_lengths, blank=blank)[0]

    one = make_problem([[[0.0, 0.0]]], [[1]])
    with WorkerProcess(Implementation("doubled", doubled)) as process:
        answer = process.call(one, "float64")
    np.testing.assert_allclose(answer.loss, 2 * np.log(2.0))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.py:ctc", "no file nowhere.py"),
        ("nothing_of_that_name:ctc", "nothing_of_that_name"),
        ("numpy:ctc_of_mine", "ctc_of_mine"),
    ],
)
def test_what_cannot_be_loaded_is_told(source: str, words: str) -> None:
    with pytest.raises(VerifyError, match=words):
        verify(source)


def test_a_file_that_ends_the_process_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("import os\nos._exit(4)\n")
    with pytest.raises(VerifyError, match="ended while loading"):
        verify(f"{tmp_path / 'gone.py'}:ctc")


def test_what_is_not_installed_is_skipped() -> None:
    report = verify(Implementation("k3", "k3:loss", packages=("k3-that-is-nowhere",)))
    assert report.skipped == "k3-that-is-nowhere is not installed"
    assert not report.ok


def has_no_default(logits, targets, logit_lengths, target_lengths, blank, upstream):
    raise AssertionError("it is not called")


@pytest.mark.parametrize("in_subprocess", [True, False])
def test_an_upstream_gradient_without_a_default_is_told(in_subprocess: bool) -> None:
    with pytest.raises(VerifyError, match="write upstream=None"):
        verify(Implementation("mine", has_no_default), in_subprocess=in_subprocess)


@pytest.mark.parametrize("in_subprocess", [True, False])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("no_such_module:f", "no_such_module:f: cannot be loaded: ModuleNotFoundError: No module named"),
        ("no_such_file.py:f", "no_such_file.py:f: cannot be loaded: FileNotFoundError: there is no file"),
        ("seqloss.numpy:nope", "seqloss.numpy:nope: cannot be loaded: AttributeError: .*'nope'"),
        ("seqloss:__name__", "cannot be loaded: TypeError: it is str, not a function"),
        (3, "3: cannot be loaded: TypeError: it is int, not a function"),
    ],
)
def test_what_cannot_be_loaded_is_one_error_in_both_modes(function: Any, words: str, in_subprocess: bool) -> None:
    with pytest.raises(VerifyError, match=words):
        verify(function, in_subprocess=in_subprocess)


@pytest.mark.parametrize("in_subprocess", [True, False])
def test_what_an_adapter_lacks_skips_it_in_both_modes(tmp_path: Path, in_subprocess: bool) -> None:
    file = tmp_path / "lacking.py"
    file.write_text("from seqloss.errors import VerifyError\nraise VerifyError('no such device')\n")
    assert "no such device" in verify(f"{file}:f", in_subprocess=in_subprocess).skipped


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blank": "x"}, "blank: found 'x', expected one of 'any', 'first', 'last'"),
        ({"lengths": "x"}, "lengths: found 'x', expected one of 'both', 'labels', 'none'"),
        ({"scores": "probs"}, "scores: found 'probs', expected one of 'logits', 'log_probs'"),
        ({"dtypes": "float64"}, r"dtypes: found 'float64', expected a tuple of names, such as \('float32',\)"),
        ({"dtypes": ()}, r"dtypes: found \(\), expected a tuple"),
        ({"dtypes": ("float8",)}, "dtypes: found 'float8', expected one of 'float64'"),
        ({"unsupported": ("digits",)}, "unsupported: found .*, expected a dict from names of laws to reasons"),
    ],
)
def test_an_unknown_capability_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Implementation("mine", "mine.py:ctc", **options)


def test_a_law_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match="unsupported: found 'nolaw', expected one of 'answers'"):
        verify(Implementation("mine", "mine.py:ctc", unsupported={"nolaw": "because"}))
