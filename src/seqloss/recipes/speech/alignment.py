"""Forced alignment of a text with a recording: when each character, word or phone is said.

The network's scores of a long recording are put together from its chunks, and the text is aligned with all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from seqloss.counts import format_count
from seqloss.data import Vocabulary
from seqloss.data.paths import FEATURE_SUFFIXES
from seqloss.data.sounds import inspect_sound
from seqloss.data.texts import clean_text
from seqloss.data.vocabulary import describe_character, frames_needed
from seqloss.errors import DataError
from seqloss.recipes.recognition.segments import Alignment, Segment, round_time
from seqloss.recipes.speech.timit_phones import are_trained_phones, fold_to_48
from seqloss.recipes.speech.transcripts import make_segments, make_words
from seqloss.torch import ctc_align

LISTED = 10
"""Unknown symbols at most that a message names."""


def align_text(
    path: Path,
    text: str,
    chunks: Iterable[Tensor],
    vocabulary: Vocabulary,
    *,
    subsampling: int,
    seconds_per_frame: float,
) -> Alignment:
    """The most probable times of a text.

    Args:
        path: of the recording.
        text: what is said in it; its line breaks count as spaces.
        chunks: the network's logits (frames, classes) of the recording, from its start to its end.
        vocabulary: of the network.
        subsampling: of the network, for messages.
        seconds_per_frame: of the logits.

    Returns:
        the segments of the tiers "words" and "characters", of "words", or of "phones", as the vocabulary's unit is.

    Raises:
        DataError: the text has unknown symbols, or the recording is too short for it.
        OutOfMemoryError: the alignment needs more memory than there is.
    """
    classes = encode_text(text, vocabulary)
    used = sorted(set(classes))
    scores = scores_of_classes(chunks, [0, *used])
    _refuse_long_text(classes, len(scores), vocabulary.unit, subsampling, seconds_per_frame)
    columns = {label: column for column, label in enumerate(used, 1)}
    spans = find_spans(scores, [columns[label] for label in classes])
    labels = ((label, *span) for label, span in zip(classes, spans, strict=True))
    seconds = _seconds_of(path, len(scores) * seconds_per_frame)
    segments = [_end_with(segment, seconds) for segment in make_segments(labels, vocabulary, seconds_per_frame)]
    return Alignment(path.stem, max(seconds, segments[-1].end), _tiers(segments, vocabulary))


def encode_text(text: str, vocabulary: Vocabulary) -> list[int]:
    """The classes of a text that is cleaned as the texts of a training; its line breaks become spaces.

    Raises:
        DataError: it is empty, or has unknown symbols.
    """
    text = clean_text(" ".join(filter(None, map(str.strip, text.splitlines())))).text
    if vocabulary.unit == "phones" and are_trained_phones(vocabulary.characters):
        text = " ".join(fold_to_48(text.split()))
    if unknown := vocabulary.unknown_characters(text):
        raise DataError(_describe_unknown(unknown, text, vocabulary))
    classes = vocabulary.encode(text)
    if not classes:
        raise DataError("the text is empty")
    return classes


def _describe_unknown(unknown: Sequence[str], text: str, vocabulary: Vocabulary) -> str:
    names = ", ".join(map(describe_character, unknown[:LISTED]))
    more = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
    advice = "write the text as the training texts are written, or train again with texts that have them"
    for form, changed in (("small", text.lower()), ("capital", text.upper())):
        if not vocabulary.unknown_characters(changed):
            advice = f"the training texts are in {form} letters: write the text so"
    return f"the vocabulary of this run lacks {names}{more}; {advice}"


def scores_of_classes(chunks: Iterable[Tensor], classes: Sequence[int]) -> Tensor:
    """Log-probabilities (frames, len(classes)) of some classes, of chunks of logits (frames, all classes)."""
    return torch.cat([chunk.float().log_softmax(1)[:, list(classes)] for chunk in chunks])


def find_spans(scores: Tensor, labels: Sequence[int]) -> list[tuple[int, int, float]]:
    """(first frame, last frame, confidence) of each label, of log-probabilities (frames, classes).

    The confidence is exp of the mean log-probability over the label's frames.

    Example:
        >>> scores = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]).log()
        >>> [(first, last, round(confidence, 4)) for first, last, confidence in find_spans(scores, [1])]
        [(0, 1, 0.6124)]
    """
    best = ctc_align(scores[None], torch.tensor([labels]), normalize=False)
    if not math.isfinite(float(best.total[0])):
        raise DataError(
            "the network gives NaN for this recording: its training diverged; train again with a lower --lr"
        )
    spans = zip(best.first[0].tolist(), best.last[0].tolist(), best.scores[0].tolist(), strict=True)
    return [(first, last, math.exp(score / (last - first + 1))) for first, last, score in spans]


def _refuse_long_text(
    classes: Sequence[int], frames: int, unit: str, subsampling: int, seconds_per_frame: float
) -> None:
    needed = frames_needed(classes)
    if needed <= frames:
        return
    advice = "give only what is said in this recording"
    if subsampling == 4 and needed < 2 * frames:  # half the subsampling gives 2 * frames, or one less
        advice += ", or use a run with --subsampling 2, with which it would fit"
    raise DataError(
        f"too short for the text: {format_count(len(classes), unit.removesuffix('s'))} and "
        f"{format_count(needed - len(classes), 'adjacent repeat')} need {format_count(needed, 'frame')}, "
        f"{frames * seconds_per_frame:.2f} s have {frames} at --subsampling {subsampling}; {advice}"
    )


def _seconds_of(path: Path, seconds: float) -> float:
    """The length of a recording; of features, that of the network's frames."""
    return round_time(seconds if path.suffix.lower() in FEATURE_SUFFIXES else inspect_sound(path).seconds)


def _end_with(segment: Segment, seconds: float) -> Segment:
    """A segment that ends with the recording at the latest: the last frame reaches beyond it, or begins at its end."""
    return replace(segment, end=min(segment.end, seconds)) if segment.start < seconds else segment


def _tiers(segments: list[Segment], vocabulary: Vocabulary) -> dict[str, list[Segment]]:
    tiers = {"words": make_words(segments, vocabulary.unit), vocabulary.unit: segments}
    return {name: tier for name, tier in tiers.items() if tier}
