"""Lines of text as images: from files or synthetic, augmented, and stacked to batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from seqloss.data import Item, SyntheticWords, Vocabulary, check_rows, make_rows_error, read_line, split_rows
from seqloss.data.checks import describe_tall_images
from seqloss.data.reading_order import ReadingOrder, describe_reading_order
from seqloss.data.vocabulary import frames_needed
from seqloss.data.words import SPLITS
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.recognition.data import TextSource, describe_short_rows, digest_of, items_of_splits, read_folder
from seqloss.training.task import Data, PrintLine, Progress

STRIDE = 4
"""Pixels per frame: the network halves the width twice."""

MAX_WIDTH = 8192
"""Pixels of a scaled line; a wider one would need too much memory."""

BASE_DIRECTION = "base_direction"
"""Among the settings that a run stores: the base direction of most of its training texts."""


def frames_of(width: int) -> int:
    """Frames that the network makes of an image of this width."""
    return -(-width // STRIDE)


class Files(TextSource):
    """Images of a data folder; those for training are augmented differently in every epoch."""

    def __init__(
        self, items: Sequence[Item], height: int, rotate: int = 0, *, augmented: bool = False, seed: int = 0
    ) -> None:
        self.items, self.height, self.rotate, self.augmented, self.seed = items, height, rotate, augmented, seed

    def __len__(self) -> int:
        return len(self.items)

    def length(self, epoch: int, index: int) -> int:
        return self.items[index].width

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        item = self.items[index]
        line = read_line(item.row.path, self.height, self.rotate)
        if self.augmented:
            line = augment(line, frames_needed(item.target), np.random.default_rng([self.seed, epoch, index]))
        return line, item.row.text

    def without_augmentation(self) -> Files:
        return Files(self.items, self.height, self.rotate)

    def texts_and_lengths(self) -> list[tuple[str, int]]:
        return [(item.target, item.width) for item in self.items]


class Synthetic(SyntheticWords, TextSource):
    """Synthetic words, wide enough for the network's frames; their lengths stand for their widths."""

    def length(self, epoch: int, index: int) -> int:
        return len(self.text(epoch, index))

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        line, text = super().item(epoch, index)
        missing = STRIDE * frames_needed(text) - line.shape[1]  # a low line may be too short for its frames
        return np.pad(line, ((0, 0), (0, max(0, missing))), "edge"), text


def load_data(
    settings: Settings, known: tuple[Vocabulary, ReadingOrder] | None, skip_bad: bool, progress: Progress | None,
    print_line: PrintLine,
) -> tuple[Data, Vocabulary, ReadingOrder]:  # fmt: skip
    """The images of each split; the vocabulary and the reading order: the known ones, else of the training texts."""
    if settings.data is None:
        sizes = (settings.synthetic, settings.validation_synthetic, settings.test_synthetic)
        made: dict[str, Any] = {
            name: Synthetic(name, size, settings.seed, settings.height)
            for name, size in zip(SPLITS, sizes, strict=True)
        }
        vocabulary = Vocabulary.from_texts(made["train"].words)
        return Data(made, {"data_digest": vocabulary.digest}), *(known or (vocabulary, ReadingOrder()))
    rows, bad = read_folder(settings, print_line, normalization=settings.normalize)
    splits, strays = split_rows(rows)
    order = known[1] if known else ReadingOrder.from_texts([row.text for row in splits.train], settings.direction)
    check = partial(
        check_rows,
        frames=frames_of,
        height=settings.height,
        max_width=MAX_WIDTH,
        rotate=settings.rotate,
        to_target=order.to_visual,
        progress=progress,
    )
    items, bad = check(splits.train, [*bad, *strays], vocabulary=known and known[0])
    vocabulary = known[0] if known else Vocabulary.from_texts((item.target for item in items), settings.normalize)
    held_out, bad = check([*splits.validation, *splits.test], bad, vocabulary=None)
    items += held_out
    note = describe_short_rows([(item.target, item.width) for item in items], bad, STRIDE)
    if bad and not skip_bad:
        raise make_rows_error(bad, note)
    sources: dict[str, Any] = {
        name: Files(kept, settings.height, settings.rotate, augmented=name == "train", seed=settings.seed)
        for name, kept in items_of_splits(splits, items, bad).items()
    }
    for line in [
        *describe_reading_order([item.row for item in items], order),
        *describe_tall_images(items, settings.height),
    ]:
        print_line(line)
    digests = {"data_digest": digest_of(item.row for item in items), BASE_DIRECTION: order.base}
    return Data(sources, digests, bad, note), vocabulary, order


def augment(line: np.ndarray, needed: int, rng: np.random.Generator) -> np.ndarray:
    """A line stretched, slanted and rotated a little, on its own background; never under `needed` frames wide."""
    height, width = line.shape
    wide = max(round(width * rng.uniform(0.9, 1.1)), STRIDE * needed)
    before, after = rng.integers(0, height // 8, 2, endpoint=True)
    stretch, high = width / wide, rng.uniform(0.9, 1.1)
    slant = rng.uniform(-0.15, 0.15) * stretch
    turn = rng.uniform(-1, 1) * min(0.07, 0.1 * height / width)
    rise = rng.uniform(-0.07, 0.07) * height
    paper = int(np.median(line))
    augmented = Image.fromarray(line).transform(
        (int(before) + wide + int(after), height),
        Image.Transform.AFFINE,
        (
            *(stretch, slant, -stretch * before - slant * height / 2),
            *(turn, high, -turn * (before + wide / 2) + (1 - high) * height / 2 + rise),
        ),
        Image.Resampling.BILINEAR,
        fillcolor=paper,
    )
    return np.asarray(augmented)


@dataclass
class ImageBatch:
    """Images (batch, 1, height, width) with zero mean and unit deviation, padded with 0; their texts."""

    images: Tensor
    widths: Tensor
    targets: Tensor
    target_lengths: Tensor
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def to(self, device: Any, **options: Any) -> ImageBatch:
        """With the images on a device; lengths and targets stay on the host."""
        return ImageBatch(self.images.to(device, **options), self.widths, self.targets, self.target_lengths, self.texts)

    def pin_memory(self) -> ImageBatch:
        return ImageBatch(self.images.pin_memory(), self.widths, self.targets, self.target_lengths, self.texts)


def stack_lines(lines: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Lines (height, width) of uneven width as (batch, 1, height, widest), each standardised; and their widths."""
    widths = [line.shape[1] for line in lines]
    images = torch.zeros(len(lines), 1, lines[0].shape[0], max(widths))
    for image, line, width in zip(images, lines, widths, strict=True):
        pixels = line.astype(np.float32)
        image[0, :, :width] = torch.from_numpy((pixels.mean() - pixels) / max(1.0, pixels.std()))
    return images, torch.tensor(widths)
