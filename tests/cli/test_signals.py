"""Ctrl-C and SIGTERM: exit codes, one message, and a run that can be resumed.

The fast tests send a real signal within this process; the long ones use processes of their own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqloss.cli import console

from ..ocr_fixtures import write_words

SMALL = ("--height", "16", "--batch", "4", "--epochs", "1", "--workers", "0")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C is an interrupt here, though a shell that runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"])
def test_a_signal_in_training_has_an_exit_code_a_message_and_an_epoch_to_resume(
    seqloss, monkeypatch, tmp_path: Path, number: int, code: int
) -> None:
    def print_line(line: str) -> None:
        print(line)
        if line.startswith("epoch   2"):
            os.kill(os.getpid(), number)

    data, run = write_words(tmp_path / "data"), tmp_path / "run"
    command = ["train", "ocr", "--data", data, "--out", run, "--height", 16, "--batch", 2, "--workers", 0, "--epochs"]
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        patch.setattr(console, "print_line", print_line)
        found, out, err = seqloss(*command, 4)
    assert (found, err) == (code, SAFE)
    assert out.count("\nepoch ") == 2
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    found, out, _ = seqloss(*command, 4)
    assert found == 0
    assert out.splitlines()[1].startswith("resuming from ")
    assert "epoch   4/4" in out


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str], str]]:
    """One endless training, ended by SIGINT, then resumed and ended by SIGTERM: (exit code, lines, stderr)."""
    home = tmp_path_factory.mktemp("interrupted")
    data = write_words(home / "data")
    command = [sys.executable, "-m", "seqloss", "train", "ocr", "--data", str(data), "--out", str(home / "run")]
    command += ["--height", "16", "--batch", "2", "--epochs", "99999", "--patience", "99999"]
    ended = {}
    for name, number in (("int", signal.SIGINT), ("term", signal.SIGTERM)):
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )
        lines = []
        while len([line for line in lines if line.startswith("epoch")]) < 2:
            lines.append(process.stdout.readline())
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        ended[name] = (process.returncode, lines + out.splitlines(True), err)
    return ended


SAFE = "interrupted; finished epochs are safe, and the same command resumes the run.\n"


@pytest.mark.long
@pytest.mark.parametrize(("name", "code"), [("int", 130), ("term", 143)])
def test_a_signal_ends_training_with_its_exit_code_and_one_message(interrupted, name, code) -> None:
    found, _, err = interrupted[name]
    assert found == code
    assert [line for line in err.splitlines(True) if not line.startswith("seqloss: compiling")] == [SAFE]


@pytest.mark.long
def test_sigterm_to_the_whole_process_group_with_workers_is_no_error_of_a_worker(tmp_path: Path) -> None:
    data = write_words(tmp_path / "data")
    command = [sys.executable, "-m", "seqloss", "train", "ocr", "--data", str(data), "--out", str(tmp_path / "run")]
    command += ["--height", "16", "--batch", "2", "--epochs", "99999", "--patience", "99999", "--workers", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not process.stdout.readline().startswith("epoch   2"):
        pass
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert [line for line in err.splitlines(True) if not line.startswith("seqloss: compiling")] == [SAFE]


@pytest.mark.long
def test_the_same_command_resumes_with_the_epoch_after(interrupted) -> None:
    before = [line for line in interrupted["int"][1] if line.startswith("epoch")]
    again = interrupted["term"][1]
    assert again[1].startswith("resuming from ")
    last, first = (int(re.match(r"epoch\s+(\d+)", line)[1]) for line in (before[-1], again[3]))
    assert first in (last, last + 1)  # it may have been interrupted between the line and the checkpoint


@pytest.mark.long
def test_two_processes_train_as_one_and_print_once(tmp_path: Path) -> None:
    data = write_words(tmp_path / "data")
    command = [sys.executable, "-m", "seqloss", "train", "ocr", "--data", str(data), "--out", str(tmp_path / "run")]
    command += [*SMALL, "--accelerator", "cpu", "--devices", "2"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    heads = [line.split()[0] for line in ran.stdout.splitlines() if line and not line.startswith(" ")]
    assert heads == ["texts:", "images:", "epoch", "validation:", "test:", "report:", "transcribe:"]
