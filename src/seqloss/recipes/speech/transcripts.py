"""The transcript of a recording: text with times, read in overlapping chunks if it is long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seqloss.data import Vocabulary
from seqloss.data.feature_files import read_features
from seqloss.data.paths import FEATURE_SUFFIXES
from seqloss.data.sound_checks import FRAMES_PER_SECOND
from seqloss.data.sounds import sound_blocks
from seqloss.errors import DataError
from seqloss.recipes.recognition.segments import Segment, round_time
from seqloss.recipes.speech.data import Features, Form

CHUNK, OVERLAP = 40 * FRAMES_PER_SECOND, 8 * FRAMES_PER_SECOND
"""Feature frames. Longer recordings are read in chunks; of each overlap both chunks keep the half that is farther from
their end."""


@dataclass(frozen=True)
class SpeechTranscript:
    """The text of a recording.

    Attributes:
        path: of the recording.
        text: of the best path.
        score: log-probability of the best path.
        words: text, start and end in seconds, and confidence of each word (not for phones).
        symbols: the same for each character, word or phone.
    """

    path: str
    text: str
    score: float
    words: list[dict[str, Any]]
    symbols: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.path}\t{self.text}"


@dataclass(frozen=True)
class BestPath:
    """The most probable class of each frame, and its log-probability."""

    classes: np.ndarray
    scores: np.ndarray


Chunk = tuple[torch.Tensor, int, int]
"""Features (frames, width), and the network's frames to leave out at their start and at their end."""


def chunks_of_file(path: Path, features: Features, form: Form, subsampling: int) -> Iterator[Chunk]:
    """The features of a file, in chunks if it is long.

    Args:
        path: of a sound, or of features.
        features: of sounds.
        form: of the features that the network reads.
        subsampling: of the network.

    Raises:
        DataError: the file cannot be used; or it has features and the network reads sounds, or the other way round.
    """
    half = OVERLAP // subsampling // 2
    holds_features = path.suffix.lower() in FEATURE_SUFFIXES
    if holds_features == form.spectral:
        raise DataError(_describe_other_form(path, form))
    if holds_features:
        whole = torch.from_numpy(read_features(path, form.width))
        starts = range(0, max(1, len(whole) - OVERLAP), CHUNK - OVERLAP)
        for start in starts:
            last = start == starts[-1]
            yield whole[start : None if last else start + CHUNK], half * (start > 0), half * (not last)
        return
    hop = features.log_mel.hop
    kept, first = np.zeros(0, np.float32), True
    for block in sound_blocks(path, features.rate):
        kept = np.concatenate([kept, block])
        while len(kept) > (CHUNK + OVERLAP) * hop:  # the rest is long enough for a chunk of its own
            # frames are centred: that of the sample after the chunk belongs to the next one
            yield features.of_samples(kept[: CHUNK * hop])[:-1], half * (not first), half
            kept, first = kept[(CHUNK - OVERLAP) * hop :], False
    yield features.of_samples(kept), half * (not first), 0


def _describe_other_form(path: Path, form: Form) -> str:
    if form.spectral:
        return f"a file of features ({path.suffix}), but this run was trained on sounds; give the recording itself"
    return (
        f"not a file of features (suffix {path.suffix!r}), but this run was trained on features of {form.width} "
        "values; compute those of the recording, and give them as .npy or .mfc"
    )


def find_best_path(logits: torch.Tensor) -> BestPath:
    """Of logits (frames, classes)."""
    scores, classes = logits.double().log_softmax(1).max(1)
    return BestPath(classes.numpy(), scores.numpy())


def join_paths(paths: list[BestPath]) -> BestPath:
    return BestPath(np.concatenate([p.classes for p in paths]), np.concatenate([p.scores for p in paths]))


Label = tuple[int, int, int, float]
"""Class, first frame, last frame, and confidence: exp of the mean log-probability over these frames."""


def collapse(path: BestPath) -> list[Label]:
    """The labels of a path: repeats are merged, blanks (class 0) left out.

    Example:
        >>> collapse(BestPath(np.array([0, 2, 2, 0, 2]), np.zeros(5)))
        [(2, 1, 2, 1.0), (2, 4, 4, 1.0)]
    """
    edges = np.flatnonzero(np.diff(path.classes, prepend=-1, append=-1))
    runs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [
        (int(path.classes[first]), first, stop - 1, math.exp(float(path.scores[first:stop].mean())))
        for first, stop in runs
        if path.classes[first]
    ]


def make_transcript(path: Path, found: BestPath, vocabulary: Vocabulary, seconds_per_frame: float) -> SpeechTranscript:
    """The transcript of a best path."""
    labels = collapse(found)
    segments = make_segments(labels, vocabulary, seconds_per_frame)
    text = vocabulary.decode([label for label, *_ in labels])
    words = make_words(segments, vocabulary.unit)
    score = round(float(found.scores.sum()), 6)
    return SpeechTranscript(str(path), text, score, list(map(_as_dict, words)), list(map(_as_dict, segments)))


def make_segments(labels: Iterable[Label], vocabulary: Vocabulary, seconds_per_frame: float) -> list[Segment]:
    """The symbols of labels, from the start of their first frame to the end of their last one."""
    return [
        Segment(
            round_time(first * seconds_per_frame),
            round_time((last + 1) * seconds_per_frame),
            vocabulary.characters[label - 1],
            round(confidence, 6),
        )
        for label, first, last, confidence in labels
    ]


def make_words(symbols: list[Segment], unit: str) -> list[Segment]:
    """The words of symbols: of characters joined, of words as they are, of phones none."""
    return [] if unit == "phones" else join_words(symbols) if unit == "characters" else symbols


def join_words(characters: list[Segment]) -> list[Segment]:
    """The words of characters: from the start of the first to the end of the last; spaces separate them.

    The confidence is the geometric mean of those of the characters.
    """
    words: list[list[Segment]] = [[]]
    for segment in characters:
        if segment.text.isspace():
            words.append([])
        else:
            words[-1].append(segment)
    return [
        Segment(word[0].start, word[-1].end, "".join(s.text for s in word), _geometric_mean(word))
        for word in words
        if word
    ]


def _geometric_mean(segments: list[Segment]) -> float:
    logs = [math.log(max(segment.confidence or 0.0, 1e-300)) for segment in segments]
    return round(math.exp(sum(logs) / len(logs)), 6)


def _as_dict(segment: Segment) -> dict[str, Any]:
    return {"text": segment.text, "start": segment.start, "end": segment.end, "confidence": segment.confidence}
