"""`seqloss doctor`: faults of a data folder are named, with an exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqloss.data import Vocabulary

from ..data.layouts.sound_trees import SOUND_TREES, record, write_wav
from ..data.layouts.trees import TREES
from .conftest import Ran
from .folders import TEXTS, draw, images, sounds

Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("SEQLOSS_CACHE_DIR", str(tmp_path / "cache"))


def names(seqloss: Run, *arguments: object) -> tuple[int, list[str]]:
    """The exit code, and the names of the findings."""
    file = Path(str(arguments[0])).with_suffix(".json")
    code, _, err = seqloss("doctor", *arguments, "--json", file)
    assert code in (0, 1), err
    return code, [finding["name"] for finding in json.loads(file.read_text(encoding="utf-8"))["findings"]]


@pytest.mark.parametrize("make", [images, sounds])
def test_a_healthy_folder_has_no_finding(seqloss: Run, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    code, out, err = seqloss("doctor", make(tmp_path / "data"))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "texts: manifest.csv, columns path and text",
        "rows: 8 training, 1 validation, 1 test",
        "nothing found; checked: rows, texts, copies",
    ]


@pytest.mark.parametrize("tree", [*SOUND_TREES, *TREES])
def test_every_layout_is_read(seqloss: Run, tmp_path: Path, tree: str) -> None:
    {**TREES, **SOUND_TREES}[tree](tmp_path)
    code, out, err = seqloss("doctor", tmp_path)
    assert code in (0, 1), err
    assert "rows-unusable" not in out
    assert "training" in out


def test_a_row_that_cannot_be_read_is_an_error_in_a_table(seqloss: Run, tmp_path: Path) -> None:
    code, out, _ = seqloss("doctor", images(tmp_path / "data", ["[red].png,abc,train"]))
    assert code == 1
    assert "rows-unusable" in out
    assert "[red].png: no such file" in out  # no markup


def test_texts_that_do_not_fit_are_named_with_the_subsampling_that_fits(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data", ["short.png,abcdabcdabcdabcdabcd,train"])
    draw(folder / "short.png", "abcd", 30)
    code, out, _ = seqloss("doctor", folder)
    assert (code, "texts-too-long" in out) == (1, True)
    assert "1 of 11 targets needs more frames than there are at 4 pixels/frame (at 3: 0, at 2: 0, at 1: 0)" in " ".join(
        out.replace("│", " ").split()
    )
    assert names(seqloss, folder, "--subsampling", 2) == (0, [])


def test_empty_pictures_and_silent_sounds_are_named(seqloss: Run, tmp_path: Path) -> None:
    pictures = images(tmp_path / "images", ["empty.png,ab,train"])
    Image.new("L", (60, 16), 255).save(pictures / "empty.png")
    recordings = sounds(tmp_path / "sounds", ["silent.wav,ab,train"])
    write_wav(recordings / "silent.wav", np.zeros(16000), 16000)
    for folder in (pictures, recordings):
        assert names(seqloss, folder) == (1, ["inputs-silent"])


def test_copies_are_named(seqloss: Run, tmp_path: Path) -> None:
    within = images(tmp_path / "within", ["copy.png,abba,train"])
    shutil.copy(within / "0.png", within / "copy.png")
    assert names(seqloss, within) == (0, ["rows-repeated"])
    across = images(tmp_path / "across", ["copy.png,abba,test"])
    shutil.copy(across / "0.png", across / "copy.png")
    assert names(seqloss, across) == (1, ["held-out-overlaps"])
    other = images(tmp_path / "other", ["copy.png,baab,train"])
    shutil.copy(other / "0.png", other / "copy.png")
    assert names(seqloss, other) == (1, ["texts-contradict", "rows-repeated"])


def test_a_held_out_folder_is_compared(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data")
    (tmp_path / "held").mkdir()
    draw(tmp_path / "held/new.png", "dacb")
    (tmp_path / "held/labels.csv").write_text("filename,words\nnew.png,dacb\n")
    assert names(seqloss, folder, "--held-out", tmp_path / "held") == (0, [])
    assert "rows: 8 training, 1 validation, 2 test" in seqloss("doctor", folder, "--held-out", tmp_path / "held")[1]
    shutil.copy(folder / "3.png", tmp_path / "held/new.png")
    (tmp_path / "held/labels.csv").write_text("filename,words\nnew.png,dada\n")
    assert names(seqloss, folder, "--held-out", tmp_path / "held") == (1, ["held-out-overlaps"])


def test_rates_of_splits_are_compared(seqloss: Run, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "data")
    noise = np.random.default_rng(0).normal(0, 3000, 8000)
    for name in ("8.wav", "9.wav"):
        write_wav(folder / name, np.cumsum(noise) % 9000, 8000)
        noise = noise[::-1]
    assert names(seqloss, folder) == (0, ["rates-differ"])


def test_recordings_at_a_multiple_of_their_rate_are_named(seqloss: Run, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "data")
    for number in range(len(TEXTS)):
        samples = np.frombuffer((folder / f"{number}.wav").read_bytes()[44:], "<i2")
        write_wav(folder / f"{number}.wav", samples, 48000)
    assert names(seqloss, folder, "--subsampling", 1) == (0, ["speech-too-fast"])


def test_a_text_of_another_recording_is_named(seqloss: Run, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "data", ["fast.wav,abcdabcdabcdabcdabcdabcdabcdabcdabcd,train"])
    record(folder / "fast.wav", "abcdabcda")
    assert names(seqloss, folder, "--subsampling", 1) == (0, ["texts-too-fast"])


def test_held_out_symbols_that_no_training_text_has_are_named(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data", ["x.png,xyz,test"])
    draw(folder / "x.png", "xyz")
    code, found = names(seqloss, folder)
    assert (code, found) == (0, ["held-out-symbols-unseen"])


def test_unicode_forms_that_differ_are_named(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data", ["x.png,\u00e9,train", "y.png,e\u0301,train"])
    draw(folder / "x.png", "e")
    draw(folder / "y.png", "e a")
    assert names(seqloss, folder) == (0, ["unicode-forms-differ"])


@pytest.mark.parametrize(
    ("symbols", "code", "found"),
    [("abcd", 0, []), ("ABCD", 1, ["unknown-symbols"]), ("abc", 1, ["unknown-symbols"])],
)
def test_texts_are_tried_with_a_vocabulary(
    seqloss: Run, tmp_path: Path, symbols: str, code: int, found: list[str]
) -> None:
    Vocabulary(symbols).save(tmp_path / "vocabulary.json")
    ran = names(seqloss, images(tmp_path / "data"), "--vocabulary", tmp_path / "vocabulary.json")
    assert (ran[0], [name for name in ran[1] if name != "held-out-symbols-unseen"]) == (code, found)


def test_images_on_their_side_are_examined_as_they_are_turned(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data", ["side.png,abcdab,train"])
    draw(folder / "side.png", "abcdab")
    Image.open(folder / "side.png").transpose(Image.Transpose.ROTATE_90).save(folder / "side.png")
    assert names(seqloss, folder, "--rotate", 0) == (1, ["texts-too-long"])
    (folder / "manifest.csv").write_text("path,text,split\nside.png,abcdab,train\n", encoding="utf-8")
    assert names(seqloss, folder, "--rotate", 90) == (0, [])


def test_frames_are_counted_for_texts_in_the_normal_form_of_the_training(seqloss: Run, tmp_path: Path) -> None:
    text = "e\u0301" * 6  # with a blank between equal letters: 11 frames composed, 12 decomposed
    folder = images(tmp_path / "data", [f"x.png,{text},train"])
    draw(folder / "x.png", "eeeeee", width=22)  # 44 x 32 once scaled: 11 frames
    assert names(seqloss, folder) == (0, [])
    assert names(seqloss, folder, "--normalize", "none") == (1, ["texts-too-long"])


def test_the_direction_of_right_to_left_texts_is_that_of_the_training(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data", ["x.png,\u05d0\u05d1,train"])
    draw(folder / "x.png", "xy")
    assert "texts: 1 of 11 is right to left; trained in the order" in seqloss("doctor", folder)[1]
    assert "(--direction visual)" in seqloss("doctor", folder, "--direction", "visual")[1]


def test_symbols_are_compared_as_the_images_show_them(seqloss: Run, tmp_path: Path) -> None:
    """In a right-to-left text, the image of an opening bracket is that of a closing one."""
    folder = images(tmp_path / "data", ["x.png,\u05d0(\u05d1,train", "y.png,a)a,test"])
    for name in ("x", "y"):
        draw(folder / f"{name}.png", name)
    assert names(seqloss, folder) == (0, [])
    assert names(seqloss, folder, "--direction", "visual") == (0, ["held-out-symbols-unseen"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (
            ["{data}", "--units", "letters"],
            "--units: found 'letters', expected one of characters, words, phones.",
        ),
        (["{data}", "--height", "4"], "--height: found 4, expected a multiple of 16 from 16 to 512."),
        (["{data}", "--rotate", "45"], "--rotate: found 45, expected one of 0, 90, 180, 270."),
        (["{data}", "--normalize", "NFD"], "--normalize: found 'NFD', expected one of NFC, NFKC, none."),
        (["{data}", "--direction", "up"], "--direction: found 'up', expected one of auto, ltr, rtl, visual."),
        (["{data}", "--layout", "mine"], "--layout: found 'mine'"),
        (["{data}", "--vocabulary", "{data}/manifest.csv"], "this is not a vocabulary saved by seqloss"),
    ],
)
def test_a_mistake_is_named(seqloss: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    data = images(tmp_path / "data")
    code, out, err = seqloss("doctor", *(argument.replace("{data}", str(data)) for argument in arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("option", [("--rotate", 90), ("--normalize", "none"), ("--direction", "rtl")])
def test_options_of_images_are_refused_for_recordings(seqloss: Run, tmp_path: Path, option: tuple[str, object]) -> None:
    code, _, err = seqloss("doctor", sounds(tmp_path / "data"), *option)
    assert (code, f"{option[0]}: is for images, found recordings; leave it out." in err) == (2, True)


def test_a_folder_with_images_and_sounds_is_refused(seqloss: Run, tmp_path: Path) -> None:
    folder = images(tmp_path / "data")
    record(folder / "x.wav", "ab")
    code, _, err = seqloss("doctor", folder)
    assert code == 2
    assert "10 images and 1 recording; name the folder of one with --images or --audio." in " ".join(err.split())
    assert names(seqloss, folder, "--images", folder) == (0, [])
