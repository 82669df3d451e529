"""The programs in examples/ run."""

from __future__ import annotations

import os
import random
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from .data.layouts.sound_trees import write_wav
from .pages import assert_shown

os.environ.setdefault("HF_HUB_OFFLINE", "1")

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def write_tones(folder: Path) -> None:
    """Recordings of two speakers: a tone for each digit."""
    folder.mkdir()
    for digit in range(10):
        for name in ("ada_0", "ada_5", "ada_6", "bob_5"):
            time = np.arange(2400 + 100 * digit) / 8000
            samples = 9000 * np.sin(2 * np.pi * (200 + 150 * digit) * time)
            write_wav(folder / f"{digit}_{name}.wav", samples, 8000)


def test_points_are_separated_and_entangled_by_the_soft_nearest_neighbour_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, out = EXAMPLES / "entangled_clusters.py", tmp_path / "figure.png"
    monkeypatch.setattr(sys, "argv", [str(script), "--steps", "16", "--out", str(out)])
    runpy.run_path(str(script), run_name="__main__")
    first, low, high = map(float, re.findall(r"(\d+\.\d\d)", capsys.readouterr().out))
    assert low < first < high
    assert out.stat().st_size > 10_000


def test_the_model_of_hugging_face_transformers_trains_and_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("accelerate")
    write_tones(tmp_path / "recordings")
    script, out = EXAMPLES / "huggingface_ctc.py", tmp_path / "out"
    options = ["--data", tmp_path, "--out", out, "--speaker", "bob", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, options)])
    runpy.run_path(str(script), run_name="__main__")
    lines = [line for line in capsys.readouterr().out.splitlines() if "training, " in line]
    places = [
        f"{when} training, {name}, 10" for when in ("before", "after") for name in ("unseen takes", "speaker bob")
    ]
    assert [line.split(" recordings")[0] for line in lines] == places
    assert_shown("docs/guides/huggingface.md", "before training", "\n".join(lines).replace("bob", "nicolas"))
    assert all(re.search(r": word error \d+\.\d%, character error \d+\.\d%$", line) for line in lines)
    assert {"config.json", "model.safetensors", "vocab.json"} <= {file.name for file in out.iterdir()}


def test_the_spelling_corrector_trains_and_is_tested_on_unseen_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = EXAMPLES / "spelling_corrector.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--steps", "2", "--batch", "4"])
    program = runpy.run_path(str(script), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"step 2: loss \d\.\d{3}", lines[0])
    assert sum(" -> " in line for line in lines) == 12
    for line, which in zip(lines[-2:], ("as typed", "corrected"), strict=True):
        assert re.fullmatch(rf"500 unseen words {which}: character error \d+\.\d%, word error \d+\.\d%", line)
    assert program["count_edits"]("kitten", "sitting") == 3


def test_what_the_spelling_corrector_types_stands_for_the_word() -> None:
    type_word = runpy.run_path(str(EXAMPLES / "spelling_corrector.py"))["type_word"]
    for seed in range(50):
        typed, meant = type_word("management", 0.5, random.Random(seed))
        assert len(typed) == len(meant)
        assert "".join(meant) == "management"
