"""`seqloss transcribe`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seqloss.errors import DataError
from seqloss.recipes import load_task
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run


def text_of(run: Path, image: Path) -> str:
    text = Predictor(load_task(run), Run(run)).predict(image).text
    assert text
    return text


def test_each_line_is_a_path_and_its_text(seqloss, trained_words) -> None:
    data, run = trained_words
    code, out, err = seqloss("transcribe", run, data / "ab.png", data / "ba.png")
    assert (code, err) == (0, "")
    assert out == "".join(f"{data / name}\t{text_of(run, data / name)}\n" for name in ("ab.png", "ba.png"))


def test_json_is_one_object_a_line(seqloss, trained_words) -> None:
    data, run = trained_words
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


def test_an_image_that_cannot_be_read_does_not_hide_the_others(seqloss, trained_words, tmp_path) -> None:
    data, run = trained_words
    broken = tmp_path / "[red]broken.png"
    broken.write_bytes((data / "ab.png").read_bytes()[:60])
    code, out, err = seqloss("transcribe", run, "gone.png", broken, "n" * 300, data / "ab.png")
    assert code == 2
    assert out == f"{data / 'ab.png'}\t{text_of(run, data / 'ab.png')}\n"
    missing, torn, long = err.splitlines()
    assert missing == "gone.png: no such file"
    assert torn.startswith(f"{broken}: broken or truncated image")
    assert "File name too long" in long


def test_a_file_is_named_once_if_the_error_names_it_too(seqloss, trained_words, monkeypatch) -> None:
    def refuse(self: Predictor, file: Path) -> None:
        raise DataError(f"{file}: found 1 rows, expected at least 50.")

    monkeypatch.setattr(Predictor, "predict", refuse)
    assert seqloss("transcribe", trained_words[1], "a.csv") == (2, "", "a.csv: found 1 rows, expected at least 50.\n")


def test_a_name_that_is_no_utf8_is_still_named_in_json(trained_words, tmp_path) -> None:
    data, run = trained_words
    name = os.fsencode(tmp_path) + b"/\xff.png"
    shutil.copy(data / "ab.png", name)
    command = [sys.executable, "-m", "seqloss", "transcribe", "--json", str(run), name]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["path"] == os.fsdecode(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "contains no run; train one with"), ({"settings.json": "{"}, "settings.json: cannot be read")],
)
def test_a_folder_that_holds_no_run_is_reported(seqloss, tmp_path, content, message) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    code, out, err = seqloss("transcribe", tmp_path, "a.png")
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("command", [("transcribe", "a.png"), ("report",), ("export", "out.npz")])
def test_a_run_of_an_unknown_recipe_is_refused_by_each_command(seqloss, tmp_path, command) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"recipe": "lip reading"}))
    code, out, err = seqloss(command[0], tmp_path, *command[1:])
    assert (code, out) == (2, "")
    assert "settings.json: found recipe 'lip reading', expected one of ocr" in err


def test_report_and_export_write_what_they_name(seqloss, trained_words, tmp_path) -> None:
    run = trained_words[1]
    page, file = tmp_path / "page.html", tmp_path / "out.npz"
    assert seqloss("report", run, "--out", page)[:2] == (0, f"wrote {page}\n")
    out = f"wrote {file}: logits of 1 image; verify with: seqloss verify --logits {file}\n"
    assert seqloss("export", run, file)[:2] == (0, out)
    assert page.exists()
    assert file.exists()
