"""Lines of text as pictures, files or painted, and the batches that a network is given.

Any item of any epoch follows from (seed, epoch, index) alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from seqloss.data import Item, SyntheticWords, Vocabulary, read_line
from seqloss.data.vocabulary import frames_needed

STRIDE = 4
"""Pixels a frame: the network halves the width twice."""

MAX_WIDTH = 8192
"""Pixels of a line, once scaled: a wider one would cost more memory than a batch is worth."""


def frames_of(width: int) -> int:
    """Frames that the network gives for a picture so many pixels wide."""
    return -(-width // STRIDE)


class Files:
    """Items of a data folder; in training each is seen a little differently every epoch."""

    def __init__(self, items: Sequence[Item], height: int, *, varied: bool = False, seed: int = 0) -> None:
        self.items, self.height, self.varied, self.seed = items, height, varied, seed

    def __len__(self) -> int:
        return len(self.items)

    def width(self, epoch: int, index: int) -> int:
        return self.items[index].width

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        row = self.items[index].row
        line = read_line(row.path, self.height)
        if self.varied:
            line = vary(line, frames_needed(row.text), np.random.default_rng([self.seed, epoch, index]))
        return line, row.text


class Painted(SyntheticWords):
    """Painted words, with a guess of their widths."""

    def width(self, epoch: int, index: int) -> int:
        return len(self.text(epoch, index))

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        line, text = super().item(epoch, index)
        missing = STRIDE * frames_needed(text) - line.shape[1]  # a low line may be too short for its frames
        return np.pad(line, ((0, 0), (0, max(0, missing))), "edge"), text


def vary(line: np.ndarray, needed: int, rng: np.random.Generator) -> np.ndarray:
    """A line stretched, slanted and turned a little, on paper of its own shade; never under `needed` frames wide."""
    height, width = line.shape
    wide = max(round(width * rng.uniform(0.9, 1.1)), STRIDE * needed)
    before, after = rng.integers(0, height // 8, 2, endpoint=True)
    stretch, high = width / wide, rng.uniform(0.9, 1.1)
    slant = rng.uniform(-0.15, 0.15) * stretch
    turn = rng.uniform(-1, 1) * min(0.07, 0.1 * height / width)
    rise = rng.uniform(-0.07, 0.07) * height
    paper = int(np.median(line))
    varied = Image.fromarray(line).transform(
        (int(before) + wide + int(after), height),
        Image.Transform.AFFINE,
        (
            *(stretch, slant, -stretch * before - slant * height / 2),
            *(turn, high, -turn * (before + wide / 2) + (1 - high) * height / 2 + rise),
        ),
        Image.Resampling.BILINEAR,
        fillcolor=paper,
    )
    return np.asarray(varied)


@dataclass
class Lines:
    """A batch: pictures (batch, 1, height, width) with zero mean and unit deviation, padded with 0; their texts."""

    pictures: Tensor
    widths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]

    def to(self, device: Any, **options: Any) -> Lines:
        return Lines(self.pictures.to(device, **options), self.widths, self.targets, self.target_lengths, self.texts)

    def pin_memory(self) -> Lines:
        return Lines(self.pictures.pin_memory(), self.widths, self.targets, self.target_lengths, self.texts)


def stack(lines: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Lines (height, width) of uneven width as (batch, 1, height, widest), each standardised; and their widths."""
    widths = [line.shape[1] for line in lines]
    pictures = torch.zeros(len(lines), 1, lines[0].shape[0], max(widths))
    for picture, line, width in zip(pictures, lines, widths, strict=True):
        pixels = line.astype(np.float32)
        picture[0, :, :width] = torch.from_numpy((pixels.mean() - pixels) / max(1.0, pixels.std()))
    return pictures, torch.tensor(widths)


class BatchReader(torch.utils.data.Dataset):
    """Whole batches, made in the loader's workers: its key is a list of (epoch, index)."""

    def __init__(self, source: Files | Painted, vocabulary: Vocabulary) -> None:
        self.source, self.vocabulary = source, vocabulary

    def __getitem__(self, keys: Sequence[tuple[int, int]]) -> Lines:
        lines, texts = zip(*(self.source.item(epoch, index) for epoch, index in keys), strict=True)
        labels = [torch.tensor(self.vocabulary.encode(text, known=True), dtype=torch.int64) for text in texts]
        targets = nn.utils.rnn.pad_sequence(labels, batch_first=True)
        return Lines(*stack(lines), targets, torch.tensor([len(row) for row in labels]), list(texts))


class Batches(torch.utils.data.Sampler):
    """The order of an epoch, from (seed, epoch) alone: lines of like width share a batch, batches are shuffled.

    With several processes each takes every n-th batch; where they don't come out even, the first ones are
    seen twice.
    """

    POOL = 16  # batches that are sorted by width together

    def __init__(self, source: Files | Painted, batch: int, seed: int | None, rank: int = 0, world: int = 1) -> None:
        self.source, self.batch, self.seed, self.rank, self.world = source, batch, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.source) / self.batch) / self.world)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        batches = self._batches()
        batches += batches[: len(self) * self.world - len(batches)]
        yield from batches[self.rank :: self.world]

    def _batches(self) -> list[list[tuple[int, int]]]:
        keys = [(self.epoch, index) for index in range(len(self.source))]
        pool = len(keys) or 1
        rng = np.random.default_rng([0 if self.seed is None else self.seed, self.epoch])
        if self.seed is not None:
            keys = [keys[index] for index in rng.permutation(len(keys))]
            pool = self.POOL * self.batch
        batches = []
        for start in range(0, len(keys), pool):
            part = sorted(keys[start : start + pool], key=lambda key: self.source.width(*key))
            batches += [part[first : first + self.batch] for first in range(0, len(part), self.batch)]
        return [batches[index] for index in rng.permutation(len(batches))] if self.seed is not None else batches


def loader(reader: BatchReader, order: Batches, workers: int) -> torch.utils.data.DataLoader:
    """Batches as the order names them, made in worker processes if there are any."""
    return torch.utils.data.DataLoader(
        reader,
        sampler=order,
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
    )
