"""Recordings of four voices, each a chord with its own vibrato, and a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ...data.layouts.sound_trees import write_wav
from ...ocr_fixtures import make_train

RATE = 8000
VOICES = {"ann": 220.0, "bob": 330.0, "cid": 470.0, "dee": 640.0}
SMALL = {"size": 16, "dimensions": 8, "batch": 12, "epochs": 2, "dropout": 0.0}


def say(path: Path, voice: str, take: int) -> None:
    """A fifth of a second and some more, other in each take."""
    rng = np.random.default_rng([take, *map(ord, voice)])
    time = np.arange(RATE // 5 + int(rng.integers(400))) / RATE
    sound = sum(np.sin(2 * np.pi * VOICES[voice] * k * time + rng.uniform(0, 6)) / k for k in (1, 2, 3))
    write_wav(path, 6000 * sound + 300 * rng.normal(size=len(time)), RATE)


def write_voices(folder: Path, column: str = "speaker", rows: str = "") -> Path:
    """Nine recordings of each voice, five to train with, two to validate, two to test; and a manifest."""
    folder.mkdir(parents=True)
    lines = [f"path,text,{column},split"]
    for voice in VOICES:
        for take in range(9):
            say(folder / f"{voice}{take}.wav", voice, take)
            split = "train" if take < 5 else "validation" if take < 7 else "test"
            lines.append(f"{voice}{take}.wav,some words,{voice},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    return write_voices(tmp_path / "voices")


@pytest.fixture(scope="session")
def speaker_task(one_thread: None) -> Callable[..., Any]:
    """The speaker task for a data folder, small, with changed settings."""
    from seqloss.recipes.speaker.settings import Settings
    from seqloss.recipes.speaker.task import SpeakerTask

    return lambda data, **changes: SpeakerTask(Settings(**{"data": str(data), **SMALL, **changes}))


@pytest.fixture(scope="session")
def train_speaker(speaker_task: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(speaker_task)
