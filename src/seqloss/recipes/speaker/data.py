"""Recordings with the labels of their speakers: read, checked, split, augmented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from seqloss.data import make_rows_error, split_rows
from seqloss.data.parallel_checks import check_in_threads
from seqloss.data.paths import SOUNDS
from seqloss.data.rows import Row, read_rows
from seqloss.data.sound_checks import Recording, describe_recordings
from seqloss.data.sounds import SPEEDS, SoundCache, change_speed, default_cache_folder, draw_speed
from seqloss.data.spec_augment import SpecAugment
from seqloss.data.text_notes import clean_rows
from seqloss.errors import BadRow, DataError, unknown_choice
from seqloss.recipes.embedding.items import LabelledItem, refuse_without_pairs
from seqloss.recipes.recognition.data import digest_of, items_of_splits
from seqloss.recipes.speaker.settings import Settings
from seqloss.torch.nn import LogMel
from seqloss.training.batches import Source
from seqloss.training.labelled_batches import LabelledSource, alternate_labels
from seqloss.training.task import Data, PrintLine, Progress

LEFT_OUT = "left_out"
"""The split of the speaker that is left out, with the test recordings of the others."""

MASKS = SpecAugment(time_width=10)


class Recordings(LabelledSource):
    """Recordings of speakers; those for training are played at random speeds, and masked.

    Faster or slower speech has another pitch and other formants: it counts as another speaker's.

    Args:
        items: the recordings.
        labels: of the speakers, by name.
        split: name of the split.
        settings: of the run.
        augmented: whether recordings are changed.
    """

    rows_per_label: ClassVar[int] = 4

    def __init__(
        self, items: Sequence[Recording], labels: dict[str, int], split: str, settings: Settings,
        *, augmented: bool = False,
    ) -> None:  # fmt: skip
        self.items, self.labels, self.split, self.settings, self.augmented = items, labels, split, settings, augmented
        self.log_mel = LogMel(settings.rate)
        self.cache = SoundCache(settings.rate, default_cache_folder())

    def __len__(self) -> int:
        return len(self.items)

    def label(self, epoch: int, index: int) -> int:
        own = self.labels[self.items[index].row.text]
        speed = SPEEDS.index(self._speed(epoch, index)) - SPEEDS.index(1.0)  # the usual speed keeps the label
        return own + len(self.labels) * (speed % len(SPEEDS))

    def item(self, epoch: int, index: int) -> LabelledItem:
        samples = self.cache.read(self.items[index].row.path)
        features = self._mask(self.features_of(change_speed(samples, self._speed(epoch, index))), epoch, index)
        return LabelledItem(features, self.label(epoch, index), index, self.split)

    def features_of(self, samples: np.ndarray) -> Tensor:
        """(samples,) to float32 (frames, features)."""
        found: Tensor = self.log_mel(torch.from_numpy(samples)[None])[0][0]
        return found

    def _speed(self, epoch: int, index: int) -> float:
        if not (self.augmented and self.settings.speed):
            return 1.0
        return draw_speed(np.random.default_rng([self.settings.seed, epoch, index]))

    def _mask(self, features: Tensor, epoch: int, index: int) -> Tensor:
        """Stripes at the mean of the recording."""
        if not (self.augmented and self.settings.spec_augment):
            return features
        frames, width = features.shape
        masks = MASKS.draw(frames, width, np.random.default_rng([self.settings.seed, epoch, index, 1]))
        return torch.from_numpy(masks.apply(features.numpy(), float(features.mean())))

    def without_augmentation(self) -> Recordings:
        return Recordings(self.items, self.labels, self.split, self.settings)


def load_data(
    settings: Settings, skip_bad: bool, progress: Progress | None, print_line: PrintLine
) -> tuple[Data, dict[str, int]]:
    """The recordings of each split, and the number of each label."""
    rows, bad = _read_labels(settings, print_line)
    own = [row for row in rows if row.text == settings.leave_out]
    if settings.leave_out is not None and not own:
        raise unknown_choice("--leave-out", settings.leave_out, sorted({row.text for row in rows}))
    splits, strays = split_rows([row for row in rows if row.text != settings.leave_out])
    log_mel, cache = LogMel(settings.rate), SoundCache(settings.rate, default_cache_folder())
    check = partial(_check_row, cache=cache, count=log_mel.frames_of_samples)
    named = [*splits.train, *splits.validation, *splits.test, *own]
    items, bad = check_in_threads(named, [*bad, *strays], check, progress)
    if bad and not skip_bad:
        raise make_rows_error(bad)
    found = items_of_splits(splits, items, bad)
    for name in ("train", "validation"):
        refuse_without_pairs([item.row.text for item in found.get(name, [])], f"{name} recordings")
    if own:
        found[LEFT_OUT] = [*(item for item in items if item.row.text == settings.leave_out), *found.get("test", [])]
    for line in describe_recordings(items, settings.rate):
        print_line(line)
    names = sorted({item.row.text for item in items})
    labels = {name: number for number, name in enumerate(names)}
    order = alternate_labels([labels[item.row.text] for item in found["train"]])
    found["train"] = [found["train"][index] for index in order]
    sources: dict[str, Source] = {
        name: Recordings(kept, labels, name, settings, augmented=name == "train") for name, kept in found.items()
    }
    return Data(sources, {"data_digest": digest_of(item.row for item in items)}, bad), labels


def _read_labels(settings: Settings, print_line: PrintLine) -> tuple[list[Row], list[BadRow]]:
    """The rows of the folder, with labels for texts, and the invalid ones."""
    rows, bad, lines = read_rows(
        Path(settings.data or ""), layout=settings.layout, images=Path(settings.audio) if settings.audio else None,
        follow_links=settings.follow_links, kind=SOUNDS, column=settings.column,
    )  # fmt: skip
    rows, unclear, notes = clean_rows(rows)
    for line in [*lines, *notes.lines()]:
        print_line(line.replace("texts", "labels", 1))
    if not rows:
        raise make_rows_error([*bad, *unclear])
    return rows, [*bad, *unclear]


def _check_row(row: Row, *, cache: SoundCache, count: Callable[[int], int]) -> Recording | BadRow:
    """The recording of a row, or why it cannot be read."""
    try:
        samples, info = cache.read_with_info(row.path)
    except DataError as problem:
        return BadRow(row.file, row.row, f"{row.name}: {problem}")
    return Recording(row, count(len(samples)), 0, info)
