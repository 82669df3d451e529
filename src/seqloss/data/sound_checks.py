"""Check recordings before training: that they can be read, fit their texts, and have known symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from seqloss.counts import format_count
from seqloss.data.feature_files import inspect_features
from seqloss.data.parallel_checks import check_in_threads, in_file_order
from seqloss.data.paths import FEATURE_SUFFIXES
from seqloss.data.rows import Row
from seqloss.data.sounds import SoundCache, SoundInfo
from seqloss.data.vocabulary import Vocabulary, describe_character, frames_needed
from seqloss.errors import BadRow, DataError

FRAMES_PER_SECOND = 100
"""Of features that are read from files, for messages."""

TOO_FAST = 3
"""A text has suspiciously many symbols per second if it has so many times those of the 99th percentile."""


@dataclass(frozen=True)
class Recording:
    """A valid row.

    Attributes:
        row: sound and text.
        frames: of its features.
        width: features of a frame, if they are read from a file; 0 for a sound.
        sound: what the file holds; None for features.
    """

    row: Row
    frames: int
    width: int = 0
    sound: SoundInfo | None = None

    @property
    def seconds(self) -> float:
        return self.sound.seconds if self.sound else self.frames / FRAMES_PER_SECOND


def check_recordings(
    rows: Sequence[Row],
    bad: Sequence[BadRow] = (),
    *,
    symbols: Vocabulary,
    known: bool,
    cache: SoundCache,
    frames_of_samples: Callable[[int], int],
    subsampling: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Recording], list[BadRow]]:
    """Check that recordings can be read, fit their texts, and have known symbols.

    Args:
        rows: to check.
        bad: invalid rows that are known already.
        symbols: cuts texts into symbols.
        known: whether a symbol that `symbols` lacks makes a row invalid.
        cache: reads the sounds.
        frames_of_samples: number of feature frames for a number of samples at the cache's rate.
        subsampling: feature frames per frame of the network.
        progress: called with (rows checked, all rows), from the calling thread.

    Returns:
        the valid rows in order, and all invalid ones with their reasons, those of `bad` included.
    """
    check = partial(
        _check_row, symbols=symbols, known=known, cache=cache, count=frames_of_samples, subsampling=subsampling
    )
    return check_in_threads(rows, bad, check, progress)


def refuse_other_widths(items: Sequence[Recording], bad: Sequence[BadRow]) -> tuple[list[Recording], list[BadRow]]:
    """Leave out the recordings of all splits whose features are not of the kind that most are.

    Args:
        items: valid rows, those of training first: of two equally frequent kinds, the first one is kept.
        bad: invalid rows that are known already.

    Returns:
        the rows that one network can read, and all invalid ones, those of `bad` included.
    """
    widths = Counter(item.width for item in items)
    if len(widths) < 2:
        return list(items), list(bad)
    usual = widths.most_common(1)[0][0]
    others = [_other_width(item, usual) for item in items if item.width != usual]
    return [item for item in items if item.width == usual], in_file_order([*bad, *others])


def _check_row(
    row: Row,
    *,
    symbols: Vocabulary,
    known: bool,
    cache: SoundCache,
    count: Callable[[int], int],
    subsampling: int,
) -> Recording | BadRow:
    labels = symbols.split(row.text)
    reasons = []
    if known and (unknown := symbols.unknown_characters(row.text)):
        reasons.append(f"not in the vocabulary: {', '.join(map(describe_character, unknown))}")
    item = None
    try:
        item = _measure(row, cache, count)
        reasons += describe_too_short(item, labels, subsampling)
    except DataError as problem:
        reasons.append(str(problem))
    if item is None or reasons:
        needed = frames_needed(labels)
        short = (item.frames, needed) if item and -(-item.frames // subsampling) < needed else None
        return BadRow(row.file, row.row, f"{row.name}: {'; '.join(reasons)}", short)
    return item


def _measure(row: Row, cache: SoundCache, count: Callable[[int], int]) -> Recording:
    if row.path.suffix.lower() in FEATURE_SUFFIXES:
        frames, width = inspect_features(row.path)
        return Recording(row, frames, width)
    samples, info = cache.read_with_info(row.path)
    return Recording(row, count(len(samples)), 0, info)


def describe_too_short(item: Recording, labels: Sequence[str], subsampling: int) -> list[str]:
    """The reason why a text does not fit its recording; an empty list if it does."""
    needed, found = frames_needed(labels), -(-item.frames // subsampling)
    if needed <= found:
        return []
    would_fit = subsampling > 2 and needed <= -(-item.frames // 2)
    advice = "it would fit with --subsampling 2" if would_fit else "give it the text of this recording"
    return [
        f"too short for its text: {format_count(len(labels), 'label')} and "
        f"{format_count(needed - len(labels), 'adjacent repeat')} need {format_count(needed, 'frame')}, "
        f"{item.seconds:.2f} s have {found} at --subsampling {subsampling}; {advice}"
    ]


def _other_width(item: Recording, usual: int) -> BadRow:
    found, expected = (f"features of {width} values" if width else "a sound" for width in (item.width, usual))
    reason = f"{item.row.name}: {found}, while most others are {expected}; train them separately"
    return BadRow(item.row.file, item.row.row, reason)


def describe_recordings(items: Sequence[Recording], rate: int) -> Iterator[str]:
    """Lines on what was done to the recordings, and their length.

    Args:
        items: valid rows.
        rate: in Hz, that they are converted to.
    """
    hours = sum(item.seconds for item in items) / 3600
    yield f"recordings: {len(items)}, {hours:.2f} hours"
    sounds = [(item.row.name, item.sound) for item in items if item.sound]
    if resampled := [(name, sound.rate) for name, sound in sounds if sound.rate != rate]:
        name, found = resampled[0]
        yield f"recordings: {len(resampled)} resampled to {rate} Hz (such as {name}, at {found} Hz)"
    if averaged := [(name, sound.channels) for name, sound in sounds if sound.channels > 1]:
        name, found = averaged[0]
        yield f"recordings: {len(averaged)} mixed down to one channel (such as {name}, with {found} channels)"


def describe_fast_texts(items: Sequence[Recording], symbols: Vocabulary) -> Iterator[str]:
    """Warnings for texts with suspiciously many symbols per second: a wrong rate, or the text of another recording.

    Args:
        items: valid rows.
        symbols: cuts texts into symbols.
    """
    if len(items) < 2:
        return
    speeds = np.array([len(symbols.split(item.row.text)) / max(item.seconds, 1e-3) for item in items])
    limit = TOO_FAST * float(np.quantile(speeds, 0.99, method="lower"))
    for item, speed in zip(items, speeds, strict=True):
        if speed > limit:
            yield (
                f"WARNING: {item.row.name}: {speed:.0f} {symbols.unit} per second, more than {TOO_FAST} times those of "
                f"99 % of the others ({limit / TOO_FAST:.0f}); is its rate right, and the text its own?"
            )
