"""Settings of the OCR recipe: what is refused, and defaults that depend on the data."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from seqloss.errors import OptionError
from seqloss.recipes.ocr.settings import Settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "--optimizer: found 'adamm', expected one of adamw, adam, sgd"),
        ({"height": 24}, "--height: found 24, expected a multiple of 16"),
        ({"height": 0}, "--height: found 0"),
        ({"height": 1024}, "--height: found 1024, expected a multiple of 16 from 16 to 512"),
        ({"data": "x", "rotate": 45}, "--rotate: found 45, expected one of 0, 90, 180, 270"),
        ({"data": "x", "normalize": "nfd"}, "--normalize: found 'nfd', expected one of NFC, NFKC, none"),
        ({"data": "x", "direction": "left"}, "--direction: found 'left', expected one of auto, ltr, rtl, visual"),
        ({"rotate": 90}, "--rotate: is for the images of a folder; give it with --data, or leave it out"),
        ({"direction": "rtl"}, "--direction: is for the images of a folder"),
        ({"normalize": "none"}, "--normalize: is for the images of a folder"),
        ({"epochs": 0}, "--epochs: found 0, expected at least 1"),
        ({"batch": 0}, "--batch: found 0"),
        ({"patience": 0}, "--patience: found 0"),
        ({"synthetic": -1}, "--synthetic: found -1"),
        ({"lr": 0.0}, "--lr: found 0.0, expected a positive number"),
        ({"lr": math.nan}, "--lr: found nan"),
        ({"lr": math.inf}, "--lr: found inf"),
        ({"seed": -1}, "--seed: found -1, expected 0 to 4294967295"),
        ({"seed": 2**32}, "--seed: found 4294967296"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_could(options: dict, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        Settings(**options)
    assert str(refused.value).startswith(message)


def test_synthetic_words_have_defaults_of_their_own() -> None:
    assert (Settings.from_options({}).epochs, Settings.from_options({}).batch) == (12, 32)
    assert Settings.from_options({"epochs": 3}).epochs == 3
    files = Settings.from_options({"data": "images"})
    assert (files.epochs, files.batch) == (60, 16)


def test_a_data_folder_is_stored_with_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_options({"data": Path("images")}).data == str(tmp_path / "images")
    assert Settings.from_options({"data": Path()}).dataset_name == tmp_path.name


def test_settings_come_back_from_what_a_run_stores() -> None:
    settings = Settings(data="x", lr=0.5)
    saved = {**settings.__dict__, "recipe": "ocr", "data_digest": "0"}
    assert Settings.from_saved(saved) == settings
