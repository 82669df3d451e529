"""The command line, as a stranger meets it: help, errors in words, exit codes, what goes to stdout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from seqloss import __version__, cli
from seqloss.errors import RunError
from seqloss.recipes import ocr
from seqloss.recipes.transcriber import Transcriber

SMALL = ("--height", "16", "--batch", "4", "--epochs", "1", "--workers", "0")
Told = tuple[int, str, str]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Here and in child processes: threads that wait for each other make a busy machine crawl."""
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def seqloss(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["seqloss", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        return (left.value.code or 0, *capsys.readouterr())

    return run


def write_pictures(folder: Path, rows: str = "") -> Path:
    folder.mkdir()
    texts = ["ab", "ba", "aab", "abb", "bab", "aba"]
    for text in texts:
        picture = Image.new("L", (40, 16), 255)
        ImageDraw.Draw(picture).text((4, 2), text, fill=0)
        picture.save(folder / f"{text}.png")
    lines = ["path,text,split", *(f"{text}.png,{text},train" for text in texts[:4])]
    lines += [f"{text}.png,{text},{split}" for text, split in zip(texts[4:], ("validation", "test"), strict=True)]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(pictures, run), trained until it reads something; not to be written to."""
    home = tmp_path_factory.mktemp("cli")
    data = write_pictures(home / "data")
    settings = ocr.Settings(data=str(data), epochs=25, batch=4, height=16)
    ocr.train(settings, home / "run", workers=0, say=lambda line: None)
    return data, home / "run"


def text_of(run: Path, picture: Path) -> str:
    text = Transcriber(run).read(picture).text
    assert text
    return text


# --- help and usage


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--help"], ["train", "transcribe", "Read pictures with a trained run"]),
        (["train", "--help"], ["ocr", "goes on where it stopped"]),
        (["train", "ocr", "--help"], ["--data", "--out", "--skip-bad", "--fresh", "adamw, adam or sgd", "For example"]),
        (["transcribe", "--help"], ["--json", "one line of text each"]),
    ],
)
def test_help_names_what_can_be_done(seqloss, monkeypatch, arguments, told) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = seqloss(*arguments)
    assert code == 0
    assert all(words in out for words in told)


def test_version_is_printed_alone(seqloss) -> None:
    assert seqloss("--version") == (0, f"{__version__}\n", "")


def test_without_arguments_the_commands_are_shown(seqloss) -> None:
    code, out, _ = seqloss()
    assert code == 2
    assert "transcribe" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "ocr", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["trane"], "No such command 'trane'"),
        (["transcribe", "run"], "Missing argument"),
        (["train", "ocr", "--colour"], "No such option: --colour"),
    ],
)
def test_a_usage_error_is_told_without_a_traceback(seqloss, arguments, told) -> None:
    code, out, err = seqloss(*arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_python_m_seqloss_is_the_same_command() -> None:
    told = subprocess.run([sys.executable, "-m", "seqloss", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"{__version__}\n"


def test_without_the_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from seqloss.cli import main"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = "the command line needs typer, which is not installed: pip install 'seqloss[train]'."
    assert told.stderr == f"seqloss: {expected}\n"


def test_a_package_that_training_lacks_is_named_with_its_extra(seqloss, monkeypatch) -> None:
    def train(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.pytorch")

    monkeypatch.setattr(ocr, "train", train)
    code, _, err = seqloss("train", "ocr")
    assert code == 2
    assert err == "error: this command needs lightning, which is not installed: pip install 'seqloss[train]'.\n"


# --- errors


@pytest.mark.parametrize(
    ("problem", "code", "told"),
    [
        (RunError("a [red]b[/red] c"), 2, "error: a [red]b[/red] c"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device; free some space, then give"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied"),
        (KeyError("k"), 1, "error: KeyError: 'k'  (--debug shows where)"),
    ],
)
def test_an_error_is_told_in_one_line(seqloss, monkeypatch, problem, code, told) -> None:
    def train(*arguments: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr(ocr, "train", train)
    found, out, err = seqloss("train", "ocr")
    assert (found, out) == (code, "")
    assert err.startswith(told)
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(seqloss, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["seqloss", "train", "ocr", "--data", "/nowhere", "--debug"])
    with pytest.raises(ValueError, match="/nowhere: no such file or folder") as raised:
        cli.main()
    assert any("manifest.py" in str(entry.path) for entry in raised.traceback)


def test_data_that_do_not_exist_are_told_and_nothing_is_written(seqloss, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", tmp_path / "gone", "--out", tmp_path / "run", *SMALL)
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'gone'}: no such file or folder; give the folder that holds the pictures.\n"
    assert not (tmp_path / "run").exists()


def test_control_characters_do_not_reach_the_terminal(seqloss, tmp_path) -> None:
    _, _, err = seqloss("train", "ocr", "--data", tmp_path / "a\x1b[2J\udcff", *SMALL)
    assert r"a\x1b[2J\udcff: no such file" in err


# --- bad rows


LONG = "f" * 120 + "/" + "g" * 120 + "/[red]picture[/red].png"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "data", f"{LONG},ab,train\n../out.png,ab,train\nab\x1b.png,ab,train\n")


def test_bad_rows_are_listed_whole_with_file_row_and_reason(seqloss, bad, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", *SMALL)
    assert (code, out) == (2, "")
    header, *rows, last = err.splitlines()
    assert header.split("\t") == ["file", "row", "reason"]
    assert rows[0].split("\t") == [str(bad / "manifest.csv"), "8", f"{LONG}: no such file"]
    assert rows[1].split("\t")[1:] == [
        "9",
        f"../out.png: leads out of the data folder ({tmp_path / 'out.png'} is not under {bad})",
    ]
    assert rows[2].split("\t")[2] == r"ab\x1b.png: no such file"
    assert last == "error: 3 rows cannot be used; mend or remove, or leave out with --skip-bad"


def test_texts_that_do_not_fit_are_told_with_the_subsampling_at_which_they_would(seqloss, tmp_path) -> None:
    data = write_pictures(tmp_path / "data", f"tight.png,{'ab' * 200},train\n")
    shutil.copy(data / "ab.png", data / "tight.png")
    code, _, err = seqloss("train", "ocr", "--data", data, "--out", tmp_path / "run", *SMALL)
    assert code == 2
    assert "with --skip-bad; 1 of " in err.splitlines()[-1]
    assert "texts need more frames than there are at 4 pixels a frame" in err.splitlines()[-1]


def test_a_terminal_shows_bad_rows_in_a_table_that_leaves_nothing_out(seqloss, bad, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cli, "err", cli.Console(stderr=True, highlight=False, force_terminal=True, width=60))
    _, _, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", *SMALL)
    assert "rows that cannot be used" in err
    rows = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip("│").split("│") for line in err.splitlines() if "│" in line]
    assert f"{LONG}:nosuchfile" in "".join(row[-1].replace(" ", "") for row in rows)


def test_skip_bad_trains_on_the_rest(seqloss, bad, tmp_path) -> None:
    code, out, err = seqloss("train", "ocr", "--data", bad, "--out", tmp_path / "run", "--skip-bad", *SMALL)
    assert (code, err) == (0, "")
    assert out.startswith(f"left out 3 rows that cannot be used: see {tmp_path / 'run/skipped.csv'}\npictures: ")
    assert out.endswith(f"read pictures with: seqloss transcribe {tmp_path / 'run'} PICTURE ...\n")


# --- transcribing


def test_a_text_stands_behind_its_picture(seqloss, trained) -> None:
    data, run = trained
    code, out, err = seqloss("transcribe", run, data / "ab.png", data / "ba.png")
    assert (code, err) == (0, "")
    assert out == "".join(f"{data / name}\t{text_of(run, data / name)}\n" for name in ("ab.png", "ba.png"))


def test_json_is_one_object_a_line(seqloss, trained) -> None:
    data, run = trained
    code, out, err = seqloss("transcribe", "--json", run, data / "ab.png", data / "ba.png")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert list(first) == ["path", "text", "score", "characters"]
    assert (first["path"], first["text"]) == (str(data / "ab.png"), text_of(run, data / "ab.png"))
    assert (second["path"], second["text"]) == (str(data / "ba.png"), text_of(run, data / "ba.png"))
    assert first["score"] < 0
    assert [list(character) for character in first["characters"]] == [
        ["character", "first_frame", "last_frame", "confidence"]
    ] * len(first["text"])


def test_a_picture_that_cannot_be_read_does_not_hide_the_others(seqloss, trained, tmp_path) -> None:
    data, run = trained
    broken = tmp_path / "[red]broken.png"
    broken.write_bytes((data / "ab.png").read_bytes()[:60])
    code, out, err = seqloss("transcribe", run, "gone.png", broken, "n" * 300, data / "ab.png")
    assert code == 2
    assert out == f"{data / 'ab.png'}\t{text_of(run, data / 'ab.png')}\n"
    missing, torn, long = err.splitlines()
    assert missing == "gone.png: no such file"
    assert torn.startswith(f"{broken}: broken or truncated picture")
    assert "File name too long" in long


def test_a_name_that_is_no_utf8_is_still_named_in_json(trained, tmp_path) -> None:
    data, run = trained
    name = os.fsencode(tmp_path) + b"/\xff.png"
    shutil.copy(data / "ab.png", name)
    command = [sys.executable, "-m", "seqloss", "transcribe", "--json", str(run), name]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["path"] == os.fsdecode(name)


@pytest.mark.parametrize(
    ("content", "told"),
    [({}, "holds no run; train one with"), ({"settings.json": "{"}, "settings.json: cannot be read")],
)
def test_a_folder_that_holds_no_run_is_told(seqloss, tmp_path, content, told) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    code, out, err = seqloss("transcribe", tmp_path, "a.png")
    assert (code, out) == (2, "")
    assert told in err


# --- signals


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, list[str], str]]:
    """One endless training, ended by SIGINT, then taken up again and ended by SIGTERM: (exit code, lines, stderr)."""
    home = tmp_path_factory.mktemp("interrupted")
    data = write_pictures(home / "data")
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


SAFE = "interrupted; finished epochs are safe, and the same command goes on from there.\n"


@pytest.mark.parametrize(("name", "code"), [("int", 130), ("term", 143)])
def test_a_signal_ends_training_with_its_exit_code_and_one_message(interrupted, name, code) -> None:
    found, _, err = interrupted[name]
    assert found == code
    assert [line for line in err.splitlines(True) if not line.startswith("seqloss: compiling")] == [SAFE]


def test_the_same_command_goes_on_with_the_epoch_after(interrupted) -> None:
    before = [line for line in interrupted["int"][1] if line.startswith("epoch")]
    again = interrupted["term"][1]
    assert again[0].startswith("going on from ")
    last, first = (int(re.match(r"epoch\s+(\d+)", line)[1]) for line in (before[-1], again[2]))
    assert first in (last, last + 1)  # it may have been interrupted between the line and the checkpoint


@pytest.mark.long
def test_two_processes_train_as_one_and_speak_with_one_voice(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data")
    command = [sys.executable, "-m", "seqloss", "train", "ocr", "--data", str(data), "--out", str(tmp_path / "run")]
    command += [*SMALL, "--accelerator", "cpu", "--devices", "2"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (told.returncode, told.stderr.strip()) == (0, "")
    heads = [line.split()[0] for line in told.stdout.splitlines() if line and not line.startswith(" ")]
    assert heads == ["pictures:", "epoch", "validation:", "test:", "what", "read"]
