"""A text is aligned with a recording of any length: times, confidences, and texts that cannot be aligned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from seqloss.data.vocabulary import Vocabulary
from seqloss.errors import DataError, OptionError
from seqloss.recipes.ocr.settings import Settings as OcrSettings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.recipes.recognition.segments import Alignment, Segment
from seqloss.recipes.speech.alignment import align_text, encode_text, scores_of_classes
from seqloss.recipes.speech.timit_phones import are_trained_phones

from .test_transcripts import Loudest, write_noise

LETTERS = Vocabulary([" ", "a", "b"])
FRAME = 0.04


def peaked(frames: Sequence[int], classes: int = 4, likely: float = 0.9) -> torch.Tensor:
    """Logits (frames, classes) with one likely class a frame."""
    rest = (1 - likely) / (classes - 1)
    return torch.tensor([[likely if c == frame else rest for c in range(classes)] for frame in frames]).log() + 5


def align(text: str, chunks: Sequence[torch.Tensor], path: Path, vocabulary: Vocabulary = LETTERS) -> Alignment:
    return align_text(path, text, chunks, vocabulary, subsampling=4, seconds_per_frame=FRAME)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    write_noise(tmp_path / "my talk.wav", 0.41)
    return tmp_path / "my talk.wav"


def times(segments: Sequence[Segment]) -> list[tuple[str, float, float]]:
    return [(segment.text, segment.start, segment.end) for segment in segments]


def test_characters_and_words_begin_and_end_with_their_frames(sound: Path) -> None:
    found = align(" ab\nb ", [peaked([0, 2, 2, 3, 0, 1, 0, 3, 3, 0])], sound)
    assert (found.name, found.seconds) == ("my talk", 0.41)
    assert times(found.tiers["characters"]) == [
        ("a", 0.04, 0.12),
        ("b", 0.12, 0.16),
        (" ", 0.2, 0.24),
        ("b", 0.28, 0.36),
    ]
    assert times(found.tiers["words"]) == [("ab", 0.04, 0.16), ("b", 0.28, 0.36)]


def test_a_confidence_is_exp_of_the_mean_log_probability_over_the_frames(sound: Path) -> None:
    logits = torch.cat([peaked([0]), peaked([2], likely=0.9), peaked([2], likely=0.4), peaked([3], likely=0.7)])
    found = align("ab", [logits], sound)
    assert [s.confidence for s in found.tiers["characters"]] == pytest.approx([math.sqrt(0.36), 0.7], abs=1e-5)
    assert found.tiers["words"][0].confidence == pytest.approx(math.sqrt(0.6 * 0.7), abs=1e-5)


def test_words_and_phones_are_one_tier(sound: Path) -> None:
    logits = peaked([1, 0, 2], classes=3)
    for unit in ("words", "phones"):
        found = align("ah bee", [logits], sound, Vocabulary(["ah", "bee"], unit=unit))
        assert list(found.tiers) == [unit]
        assert times(found.tiers[unit]) == [("ah", 0.0, 0.04), ("bee", 0.08, 0.12)]


def test_only_the_columns_of_the_text_are_kept() -> None:
    chunks = [torch.randn(5, 50), torch.randn(3, 50)]
    found = scores_of_classes(chunks, [0, 7, 49])
    torch.testing.assert_close(found, torch.cat(chunks).log_softmax(1)[:, [0, 7, 49]])


def test_the_last_frame_ends_with_the_recording_unless_it_begins_there(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.wav", 0.07)
    found = align("ab", [peaked([2, 3])], tmp_path / "a.wav")
    assert (found.seconds, times(found.tiers["characters"])) == (0.07, [("a", 0.0, 0.04), ("b", 0.04, 0.07)])
    write_noise(tmp_path / "b.wav", 0.04)
    found = align("ab", [peaked([2, 3])], tmp_path / "b.wav")
    assert (found.seconds, times(found.tiers["characters"])) == (0.08, [("a", 0.0, 0.04), ("b", 0.04, 0.08)])


def test_features_have_the_length_of_their_frames(tmp_path: Path) -> None:
    assert align("a", [peaked([0, 2, 0])], tmp_path / "a.npy").seconds == 0.12


class Tones(Loudest):
    """Two octaves of `write_noise` are two letters, whatever stands before or after."""

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        loudest, lengths = super().forward(features, lengths)
        low = loudest[..., :12].amax(2) > loudest[..., 12:].amax(2)
        return 20 * torch.stack([torch.zeros_like(low), low, ~low], 2).float(), lengths


def test_a_long_recording_is_aligned_as_a_whole(tmp_path: Path, speech_task) -> None:
    path = tmp_path / "long.wav"
    rate, seconds = 16000, 130
    time = np.arange(seconds * rate) / rate
    letters = "".join("ab"[second % 2] for second in range(seconds))  # a second each
    pitch = np.array([200 if letter == "a" else 3000 for letter in letters])[time.astype(int)]
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / rate), rate)
    task = speech_task(None, subsampling=4)
    task.known_vocabulary, task.width = Vocabulary(["a", "b"]), 80
    chunks = list(task.logits_of_file(Tones(4), path))
    assert len(chunks) > 3
    found = task.align(Tones(4), path, letters)
    assert found.seconds == seconds
    assert [s.text for s in found.tiers["characters"]] == list(letters)
    starts = [segment.start for segment in found.tiers["characters"]]
    np.testing.assert_allclose(starts, np.arange(seconds), atol=1.01 * FRAME)


# --- texts that cannot be aligned


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n ", "the text is empty"),
        ("\u200b", r"nothing in the text is visible \(it is U\+200B"),
        ("abc", r"^the vocabulary of this run lacks 'c' \(U\+0063 LATIN SMALL LETTER C\); write the text as"),
        ("AB", r"lacks 'A' \(U\+0041 LATIN CAPITAL LETTER A\), 'B' .*the training texts are in small letters"),
        ("defghijklmnop", r"'m' \(U\+006D LATIN SMALL LETTER M\) and 3 more; "),
        ("abba", "^too short for the text: 4 characters and 1 adjacent repeat need 5 frames, 0.12 s have 3 at "
         "--subsampling 4; give only what is said in this recording, or use a run with --subsampling 2, with which it"),
        ("ababab", r"6 characters .*give only what is said in this recording$"),  # 5 or 6 frames at --subsampling 2
        ("abababab", r"give only what is said in this recording$"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_aligned_is_refused(text: str, message: str, sound: Path) -> None:
    with pytest.raises(DataError, match=message):
        align(text, [peaked([0, 2, 0])], sound)


def test_a_network_that_diverged_is_named(sound: Path) -> None:
    with pytest.raises(DataError, match="the network gives NaN for this recording"):
        align("a", [torch.full((3, 4), torch.nan)], sound)


def test_a_text_is_cleaned_as_those_of_the_training() -> None:
    vocabulary = Vocabulary(["\u00e4", " "])
    assert encode_text(" a\u0308 \r\n\n a\u0308", vocabulary) == [1, 2, 1]


def test_phones_of_timit_are_folded_as_in_the_training() -> None:
    trained = Vocabulary(["hh", "ih", "sil"], unit="phones")
    assert encode_text("h# hv q ih pau", trained) == [3, 1, 2, 3]
    with pytest.raises(DataError, match="the text is empty"):
        encode_text("q", trained)
    with pytest.raises(DataError, match="lacks 'h#', 'q'"):
        encode_text("h# ih q", Vocabulary(["ih", "sil", "schwa"], unit="phones"))


def test_trained_phones_are_those_of_the_48() -> None:
    assert are_trained_phones(["sil", "cl", "vcl", "zh"])
    assert not are_trained_phones(["sil", "h#"])
    assert not are_trained_phones(["cl"])


def test_a_run_of_images_aligns_no_texts() -> None:
    with pytest.raises(
        OptionError, match=r"recipe 'ocr' finds no times of a text; use a run of `seqloss train speech`"
    ):
        OcrTask(OcrSettings()).align(torch.nn.Identity(), Path("a.png"), "a")
