"""Windows of a table: three fifths of its rows to train with, then a fifth to validate, then a fifth to test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqloss.counts import format_count
from seqloss.data import make_rows_error
from seqloss.data.number_tables import NumberTable, read_number_table
from seqloss.data.synthetic_signals import CHANNELS, make_signals
from seqloss.errors import DataError
from seqloss.recipes.autoencoder.planting import plant_anomaly
from seqloss.recipes.autoencoder.settings import Settings
from seqloss.training.batches import Source
from seqloss.training.task import Data, PrintLine

SHARES = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}


class Window(NamedTuple):
    """One window, in deviations from the mean of each channel.

    Attributes:
        values: (steps, channels).
        planted: the same with one anomaly; None for training.
        anomalous: the steps of the anomaly.
        number: of the window in its split, in the order of time.
        split: its name.
        total: windows of the split.
    """

    values: Tensor
    planted: Tensor | None
    anomalous: Tensor | None
    number: int
    split: str
    total: int


@dataclass
class Batch:
    """Windows (batch, steps, channels).

    Attributes:
        inputs: what the network reads; all 0 for an empty input.
        values: what it has to reconstruct.
        planted: the windows with an anomaly each; None for training.
        anomalous: (batch, steps), the steps of the anomalies.
        numbers: of the windows in their split.
        split: its name.
        count: windows of the split.
    """

    inputs: Tensor
    values: Tensor
    planted: Tensor | None
    anomalous: Tensor | None
    numbers: Tensor
    split: str
    count: int

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: Any, **options: Any) -> Batch:
        """With the windows on a device; numbers and masks stay on the host."""
        planted = None if self.planted is None else self.planted.to(device, **options)
        inputs, values = self.inputs.to(device, **options), self.values.to(device, **options)
        return replace(self, inputs=inputs, values=values, planted=planted)

    def pin_memory(self) -> Batch:
        planted = None if self.planted is None else self.planted.pin_memory()
        return replace(self, inputs=self.inputs.pin_memory(), values=self.values.pin_memory(), planted=planted)


@dataclass(frozen=True)
class Scale:
    """What turns values into deviations.

    Attributes:
        names: of the channels.
        mean: (channels,), of the training rows.
        deviation: (channels,); of their differences, where those are learnt. 1 for a channel that never changes.
    """

    names: Sequence[str]
    mean: np.ndarray
    deviation: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        found: np.ndarray = ((values - self.mean) / self.deviation).astype(np.float32)
        return found

    @classmethod
    def of(cls, table: NumberTable, rows: int, differences: bool) -> Scale:
        values = table.values[:rows]
        spread = (np.diff(values, axis=0) if differences and rows > 1 else values).std(0)
        return cls(table.names, values.mean(0), np.where(spread > 1e-12 * np.abs(values).max(0), spread, 1.0))


class Windows(Source):
    """The windows of a split.

    Args:
        values: (rows, channels) of the whole table, in deviations.
        starts: first row of each window.
        steps: of a window.
        split: its name; in other splits than "train", each window also comes with a planted anomaly.
        seed: of the anomalies.
    """

    def __init__(self, values: np.ndarray, starts: Sequence[int], steps: int, split: str, seed: int) -> None:
        self.values, self.starts, self.steps, self.split, self.seed = values, starts, steps, split, seed

    def __len__(self) -> int:
        return len(self.starts)

    def item(self, epoch: int, index: int) -> Window:
        start = self.starts[index]
        window = self.values[start : start + self.steps]
        planted, anomalous = None, None
        if self.split != "train":
            rng = np.random.default_rng([self.seed, list(SHARES).index(self.split), index])
            planted, anomalous = map(torch.from_numpy, plant_anomaly(window, rng))
        return Window(torch.from_numpy(window.copy()), planted, anomalous, index, self.split, len(self))


def stack_windows(items: Sequence[Window]) -> Batch:
    """The batch of windows of one split."""
    values, held_out = torch.stack([item.values for item in items]), items[0].planted is not None
    return Batch(
        values,
        values,
        torch.stack([item.planted for item in items]) if held_out else None,  # type: ignore[misc]
        torch.stack([item.anomalous for item in items]) if held_out else None,  # type: ignore[misc]
        torch.tensor([item.number for item in items]),
        items[0].split,
        items[0].total,
    )


def load_data(settings: Settings, skip_bad: bool, print_line: PrintLine) -> tuple[Data, NumberTable, Scale]:
    """The windows of each split, the table, and the scale of the training rows.

    Raises:
        DataError: rows cannot be used, or there is not a single window.
    """
    table, bad = read_table(settings)
    if bad and not skip_bad:
        raise make_rows_error(bad)
    print_line(table.words)
    ranges, words = split_rows(len(table.values), settings.window)
    scale = Scale.of(table, ranges["train"][1], settings.differences)
    values = scale.apply(table.values)
    sources: dict[str, Source] = {
        name: Windows(values, find_starts(table.places, *rows, settings, name), settings.window, name, settings.seed)
        for name, rows in ranges.items()
    }
    empty = [name for name, source in sources.items() if not len(source)]
    if empty:
        raise DataError(
            f"found no window of {format_count(settings.window, 'step')} in the "
            f"{format_count(len(table.values), 'row')} ({' and '.join(empty)}), "
            "expected at least one without a gap; choose a smaller --window, or give more rows."
        )
    for line in describe_odd_channels(table, ranges):
        print_line(line)
    print_line(words)
    digest = hashlib.sha256(table.values.tobytes() + "\t".join(table.names).encode()).hexdigest()[:16]
    return Data(sources, {"data_digest": digest}, bad), table, scale


def describe_odd_channels(table: NumberTable, ranges: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Lines on channels that do not change in training, and on those that count rows or time.

    Example:
        >>> rows = np.stack([np.arange(100.0), np.ones(100)], 1)
        >>> table = NumberTable(rows, ["t", "on"], np.arange(100), None, "")
        >>> print(*describe_odd_channels(table, split_rows(100, 10)[0]), sep="\\n")
        channel t: rises in every row; if it is the time, name it time and make it the first column, else leave it out
        channel on: never changes in the training rows; leave it out
    """
    held_out = len(ranges) > 1  # a channel that always rises is beyond its training values there
    for name, values in zip(table.names, table.values.T, strict=True):
        if held_out and (np.diff(values) > 0).all():
            advice = "if it is the time, name it time and make it the first column, else leave it out"
            yield f"channel {name}: rises in every row; {advice}"
        if not values[: ranges["train"][1]].std():
            yield f"channel {name}: never changes in the training rows; leave it out"


def read_table(settings: Settings) -> tuple[NumberTable, list[Any]]:
    """The file's, or synthetic signals."""
    if settings.data is not None:
        return read_number_table(Path(settings.data))
    values = make_signals(settings.rows, settings.seed)
    words = f"table: {len(values)} rows of {len(CHANNELS)} synthetic channels ({', '.join(CHANNELS)}), from the seed"
    return NumberTable(values, CHANNELS, np.arange(len(values)), None, words), []


def split_rows(rows: int, window: int) -> tuple[dict[str, tuple[int, int]], str]:
    """First and last row of each split, and a line on them. Short tables are all for training.

    Example:
        >>> split_rows(100, 10)[0]
        {'train': (0, 60), 'validation': (60, 80), 'test': (80, 100)}
        >>> split_rows(14, 14)
        ({'train': (0, 14)}, 'splits: all 14 rows train; to hold some out takes 140 rows, ten windows')
    """
    if rows < 10 * window:
        words = f"splits: all {rows} rows train; to hold some out takes {10 * window} rows, ten windows"
        return {"train": (0, rows)}, words
    found = {name: (round(low * rows), round(high * rows)) for name, (low, high) in SHARES.items()}
    words = ", ".join(f"{name} rows {low + 1} to {high}" for name, (low, high) in found.items())
    return found, f"splits by time: {words}"


def find_starts(places: np.ndarray, first: int, last: int, settings: Settings, split: str) -> list[int]:
    """First rows of windows without a gap; held-out windows do not overlap."""
    steps, step = settings.window, settings.step if split == "train" else settings.window
    starts, start = [], first
    while start + steps <= last:
        jump = np.flatnonzero(np.diff(places[start : start + steps]) != 1)
        if len(jump):
            start += int(jump[-1]) + 1  # begin behind the gap
            continue
        starts.append(start)
        start += step
    return starts
