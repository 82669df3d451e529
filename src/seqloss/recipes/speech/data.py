"""Recordings as features: from files or a synthesiser, augmented, and stacked to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from seqloss.data import Vocabulary, make_rows_error, split_rows
from seqloss.data.feature_augment import draw_tempo, map_linearly, stretch
from seqloss.data.feature_files import read_features
from seqloss.data.rows import Row
from seqloss.data.sound_checks import (
    Recording,
    check_recordings,
    describe_fast_texts,
    describe_recordings,
    refuse_other_widths,
)
from seqloss.data.sounds import SoundCache, change_speed, default_cache_folder, draw_speed, samples_after_speed
from seqloss.data.spec_augment import Masks, SpecAugment
from seqloss.data.spoken_digits import RATE, WORDS, SpokenDigits
from seqloss.data.vocabulary import frames_needed
from seqloss.data.words import SPLITS
from seqloss.recipes.recognition.data import TextSource, describe_short_rows, digest_of, items_of_splits, read_folder
from seqloss.recipes.speech.settings import Settings
from seqloss.recipes.speech.timit_phones import are_timit_phones, describe_other_phones, fold_to_48
from seqloss.torch.nn import LogMel
from seqloss.training.task import Data, PrintLine, Progress

STEPS = "feature frames"

Item = tuple[Tensor, Masks | None, str]
"""Features (frames, features), stripes to mask, and the text."""


@dataclass(frozen=True)
class Form:
    """What the features of a run are.

    Attributes:
        width: features of a frame.
        spectral: whether they are the log-mel filters of sounds; features of files may be anything.
    """

    width: int
    spectral: bool


class Features:
    """Features of samples: the log-mel filters of the settings' rate."""

    def __init__(self, rate: int) -> None:
        self.rate, self.log_mel = rate, LogMel(rate)

    def of_samples(self, samples: np.ndarray) -> Tensor:
        """(samples,) to float32 (frames, 80)."""
        features, _ = self.log_mel(torch.from_numpy(samples)[None])
        found: Tensor = features[0]
        return found


class Recordings(TextSource):
    """Recordings of a data folder; those for training are played at random speeds, and masked.

    A speed that would leave a text fewer frames than it needs is not used.
    """

    sorted_together: ClassVar[int] = 64

    def __init__(
        self, items: Sequence[Recording], settings: Settings, symbols: Vocabulary, *, augmented: bool = False
    ) -> None:
        self.items, self.settings, self.symbols, self.augmented = items, settings, symbols, augmented
        self.features = Features(settings.rate)
        self.cache = SoundCache(settings.rate, default_cache_folder())

    def __len__(self) -> int:
        return len(self.items)

    def length(self, epoch: int, index: int) -> int:
        return samples_after_speed(self.items[index].frames, self._speed(epoch, index))

    def item(self, epoch: int, index: int) -> Item:
        item = self.items[index]
        speed = self._speed(epoch, index)
        if item.sound is None:
            features = torch.from_numpy(self._augment(read_features(item.row.path), speed, epoch, index))
        else:
            features = self.features.of_samples(change_speed(self.cache.read(item.row.path), speed))
        spectral = item.sound is not None
        masks = draw_masks(features, self.settings, epoch, index, spectral=spectral) if self.augmented else None
        return features, masks, item.row.text

    def _augment(self, features: np.ndarray, speed: float, epoch: int, index: int) -> np.ndarray:
        """Features of a file as if another speaker said it, faster or slower."""
        if not (self.augmented and self.settings.speed):
            return features
        rng = np.random.default_rng([self.settings.seed, epoch, index, 3])
        return map_linearly(stretch(features, speed), rng)

    def samples(self, index: int) -> np.ndarray | None:
        """The sound as it is stored, at the settings' rate; None for features."""
        item = self.items[index]
        return None if item.sound is None else self.cache.read(item.row.path)

    def _speed(self, epoch: int, index: int) -> float:
        item = self.items[index]
        if not (self.augmented and self.settings.speed):
            return 1.0
        rng = np.random.default_rng([self.settings.seed, epoch, index, 1])
        speed = draw_speed(rng) if item.sound else draw_tempo(rng)
        needed = frames_needed(self.symbols.split(item.row.text))
        return speed if item.frames / speed > self.settings.subsampling * (needed + 1) else min(speed, 1.0)

    def without_augmentation(self) -> Recordings:
        return Recordings(self.items, self.settings, self.symbols)

    def texts_and_lengths(self) -> list[tuple[str, int]]:
        return [(item.row.text, item.frames) for item in self.items]


class Synthetic(TextSource):
    """Spoken digits of one split; their lengths stand for their durations."""

    def __init__(self, split: Any, size: int, settings: Settings, *, augmented: bool = False) -> None:
        self.digits, self.settings, self.augmented = SpokenDigits(split, size, settings.seed), settings, augmented
        self.split, self.features = split, Features(RATE)

    def __len__(self) -> int:
        return len(self.digits)

    def length(self, epoch: int, index: int) -> int:
        return len(self.digits.text(epoch, index))

    def item(self, epoch: int, index: int) -> Item:
        samples, text = self.digits.item(epoch, index)
        features = self.features.of_samples(samples)
        return features, draw_masks(features, self.settings, epoch, index) if self.augmented else None, text

    def samples(self, index: int) -> np.ndarray | None:
        return self.digits.item(0, index)[0]

    def without_augmentation(self) -> Synthetic:
        return Synthetic(self.split, len(self), self.settings)


def draw_masks(features: Tensor, settings: Settings, epoch: int, index: int, *, spectral: bool = True) -> Masks | None:
    """The stripes to mask of a training item; None if the settings say so.

    Args:
        spectral: whether features next to each other are near in frequency; those of files may be cepstra, of which no
            stripe is masked.
    """
    if not settings.spec_augment:
        return None
    frames, width = features.shape
    rng = np.random.default_rng([settings.seed, epoch, index, 2])
    return SpecAugment(frequency_masks=int(spectral)).draw(frames, width, rng)


def load_data(
    settings: Settings, known: Vocabulary | None, skip_bad: bool, progress: Progress | None, print_line: PrintLine
) -> tuple[Data, Vocabulary, Form]:
    """The recordings of each split, the vocabulary (the known one, else that of the training texts), and the form of
    the features."""
    features = Features(settings.rate)
    if settings.data is None:
        return *_synthesise(settings, known), Form(features.log_mel.filters, spectral=True)
    rows, bad = read_folder(settings, print_line, phones=settings.units == "phones")
    if settings.units == "phones":
        rows = _fold_timit(rows, print_line)
    splits, strays = split_rows(rows)
    cutting = known or Vocabulary((), unit=settings.units)
    check = partial(
        check_recordings,
        symbols=cutting,
        cache=SoundCache(settings.rate, default_cache_folder()),
        frames_of_samples=features.log_mel.frames_of_samples,
        subsampling=settings.subsampling,
        progress=progress,
    )
    items, bad = check(splits.train, [*bad, *strays], known=known is not None)
    held_out, bad = check([*splits.validation, *splits.test], bad, known=False)
    items, bad = refuse_other_widths([*items, *held_out], bad)
    trained = {row.path for row in splits.train}
    texts = (item.row.text for item in items if item.row.path in trained)
    vocabulary = known or Vocabulary.from_texts(texts, unit=settings.units)
    note = describe_short_rows(
        [(cutting.split(item.row.text), item.frames) for item in items], bad, settings.subsampling, STEPS
    )
    if bad and not skip_bad:
        raise make_rows_error(bad, note)
    sources: dict[str, Any] = {
        name: Recordings(kept, settings, cutting, augmented=name == "train")
        for name, kept in items_of_splits(splits, items, bad).items()
    }
    for line in [*describe_recordings(items, settings.rate), *describe_fast_texts(items, cutting)]:
        print_line(line)
    width = items[0].width
    form = Form(width or features.log_mel.filters, spectral=not width)
    return Data(sources, {"data_digest": digest_of(item.row for item in items)}, bad, note), vocabulary, form


def _fold_timit(rows: list[Row], print_line: PrintLine) -> list[Row]:
    """The rows with the 48 phones of TIMIT that are trained, or as they are if they have other phones."""
    found = {phone for row in rows for phone in row.text.split()}
    if are_timit_phones(found):
        print_line("phones: TIMIT's 61, folded to 48 for training and 39 for scoring (Lee and Hon 1989)")
        return [replace(row, text=" ".join(fold_to_48(row.text.split()))) for row in rows]
    line = describe_other_phones(found)
    if line:
        print_line(line)
    return rows


def _synthesise(settings: Settings, known: Vocabulary | None) -> tuple[Data, Vocabulary]:
    sizes = (settings.synthetic, settings.validation_synthetic, settings.test_synthetic)
    made: dict[str, Any] = {
        name: Synthetic(name, size, settings, augmented=name == "train")
        for name, size in zip(SPLITS, sizes, strict=True)
    }
    vocabulary = known or Vocabulary.from_texts([" ".join(WORDS)], unit=settings.units)
    return Data(made, {"data_digest": vocabulary.digest}), vocabulary


@dataclass
class SpeechBatch:
    """Features (batch, frames, features), padded with 0, and the stripes to mask; their texts."""

    features: Tensor
    lengths: Tensor
    masks: list[Masks | None]
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def to(self, device: Any, **options: Any) -> SpeechBatch:
        """With the features on a device; lengths and targets stay on the host."""
        moved = self.features.to(device, **options)
        return SpeechBatch(moved, self.lengths, self.masks, self.targets, self.target_lengths, self.texts)

    def pin_memory(self) -> SpeechBatch:
        pinned = self.features.pin_memory()
        return SpeechBatch(pinned, self.lengths, self.masks, self.targets, self.target_lengths, self.texts)


def stack_features(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Features (frames, features) of uneven length as one tensor, padded with 0; and their lengths."""
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows])
