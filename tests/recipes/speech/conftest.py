"""A dozen recordings of tones, and a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ...data.layouts.sound_trees import record
from ...ocr_fixtures import make_train

TEXTS = ("ab", "ba", "abb", "bab", "aab", "ba b", "a", "b", "abba", "baab")
SMALL = {"size": 16, "layers": 1, "subsampling": 2, "batch": 4, "epochs": 2, "speed": False}


def write_tones(folder: Path, rows: str = "") -> Path:
    """Ten recordings of one or two letters as tones, eight to train with; and a manifest."""
    lines = ["path,text,split"]
    for number, text in enumerate(TEXTS):
        record(folder / f"{number}.wav", text)
        lines.append(f"{number}.wav,{text},{'train' if number < 8 else 'validation' if number < 9 else 'test'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def speech_task(one_thread: None) -> Callable[..., Any]:
    """The speech task for a data folder, small, with changed settings."""
    from seqloss.recipes.speech.settings import Settings
    from seqloss.recipes.speech.task import SpeechTask

    return lambda data, **changes: SpeechTask(Settings(**{"data": data and str(data), **SMALL, **changes}))


@pytest.fixture(scope="session")
def train_speech(speech_task: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(speech_task)
