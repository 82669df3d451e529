"""Transcripts have times; a long recording is read in chunks and gives what it gives as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from seqloss.data.vocabulary import Vocabulary
from seqloss.errors import DataError
from seqloss.recipes import load_task
from seqloss.recipes.recognition.segments import Segment
from seqloss.recipes.speech.data import Features, Form
from seqloss.recipes.speech.transcripts import (
    BestPath,
    chunks_of_file,
    collapse,
    find_best_path,
    join_paths,
    join_words,
    make_transcript,
)
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

from .conftest import write_tones


def test_words_begin_and_end_with_their_characters() -> None:
    classes = np.array([0, 2, 2, 3, 0, 1, 0, 3, 3, 0])  # "ab", blank, "b"
    found = make_transcript(Path("x.wav"), BestPath(classes, np.zeros(10)), Vocabulary([" ", "a", "b"]), 0.04)
    assert found.text == "ab b"
    assert [(s["text"], s["start"], s["end"]) for s in found.symbols] == [
        ("a", 0.04, 0.12),
        ("b", 0.12, 0.16),
        (" ", 0.2, 0.24),
        ("b", 0.28, 0.36),
    ]
    assert [(s["text"], s["start"], s["end"], s["confidence"]) for s in found.words] == [
        ("ab", 0.04, 0.16, 1.0),
        ("b", 0.28, 0.36, 1.0),
    ]
    assert str(found) == "x.wav\tab b"


def test_the_confidence_of_a_word_is_the_geometric_mean_of_its_characters() -> None:
    assert join_words([Segment(0, 1, "a", 0.9), Segment(1, 2, "b", 0.4)])[0].confidence == 0.6


def test_repeats_are_merged_unless_a_blank_separates_them() -> None:
    found = collapse(BestPath(np.array([1, 1, 0, 1, 2]), np.log([0.5, 0.5, 1, 0.25, 1])))
    assert [(label, first, last) for label, first, last, _ in found] == [(1, 0, 1), (1, 3, 3), (2, 4, 4)]
    assert [confidence for *_, confidence in found] == pytest.approx([0.5, 0.25, 1])


class Loudest(nn.Module):
    """A network that sees one frame at a time: the loudest filter of every `subsampling` frames."""

    def __init__(self, subsampling: int) -> None:
        super().__init__()
        self.subsampling = subsampling

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features[:, :: self.subsampling], (lengths + self.subsampling - 1) // self.subsampling


def write_noise(path: Path, seconds: float, rate: int = 16000) -> None:
    """Noise whose pitch changes every tenth of a second."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 200 * 2.0 ** rng.integers(0, 5, round(seconds * 10) + 1)[(time * 10).astype(int)]
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / rate), rate)


@pytest.mark.parametrize("seconds", [0.05, 39.99, 40.0, 40.01, 48.0, 48.3, 72.0, 80.01, 150.0])
@pytest.mark.parametrize("subsampling", [2, 4])
def test_chunks_give_the_frames_of_the_whole(seconds: float, subsampling: int, tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", seconds)
    features, network = Features(16000), Loudest(subsampling)
    paths = []
    for part, before, after in chunks_of_file(tmp_path / "a.wav", features, Form(80, spectral=True), subsampling):
        assert len(part) <= 48 * 100 + 1
        logits, frames = network(part[None], torch.tensor([len(part)]))
        paths.append(find_best_path(logits[0, before : int(frames[0]) - after]))
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    whole = features.of_samples(samples)[None]
    expected = find_best_path(network(whole, torch.tensor([whole.shape[1]]))[0][0])
    np.testing.assert_array_equal(join_paths(paths).classes, expected.classes)


@pytest.mark.parametrize("frames", [1, 4000, 4001, 7200, 9999])
def test_chunks_of_features_give_the_frames_of_the_whole(frames: int, tmp_path: Path) -> None:
    whole = np.random.default_rng(0).normal(size=(frames, 13)).astype(np.float32)
    np.save(tmp_path / "a.npy", whole)
    paths = []
    for part, before, after in chunks_of_file(tmp_path / "a.npy", Features(16000), Form(13, spectral=False), 4):
        logits, lengths = Loudest(4)(part[None], torch.tensor([len(part)]))
        paths.append(find_best_path(logits[0, before : int(lengths[0]) - after]))
    np.testing.assert_array_equal(join_paths(paths).classes, whole[::4].argmax(1))


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        ("a.npy", Form(80, spectral=True), "this run was trained on sounds; give the recording itself"),
        ("a.wav", Form(80, spectral=False), "this run was trained on features of 80 values; compute those"),
    ],
)
def test_sounds_and_features_are_not_taken_for_each_other(name: str, form: Form, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(50, 80)).astype(np.float32))
    write_noise(tmp_path / "a.wav", 0.5)
    with pytest.raises(DataError, match=message):
        next(chunks_of_file(tmp_path / name, Features(16000), form, 4))


def test_a_run_transcribes_with_times(train_speech, tmp_path: Path) -> None:
    data = write_tones(tmp_path / "data")
    train_speech(data, tmp_path / "run", epochs=40, lr=0.01, spec_augment=False)
    task = load_task(tmp_path / "run")
    found = Predictor(task, Run(tmp_path / "run")).predict(data / "0.wav")
    assert found.text.strip("b").strip("a") == ""  # some a, then some b
    assert 0 <= found.symbols[0]["start"] < 0.12
    assert 0.06 < found.symbols[-1]["start"] < 0.2
    assert (found.words[0]["text"], found.words[0]["start"]) == (found.text, found.symbols[0]["start"])
