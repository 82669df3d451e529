"""All that a run's report shows: what was recorded, and what the best epoch says of the validation pictures."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from seqloss.recipes.lines import BatchReader, Lines
from seqloss.recipes.ocr import Settings, load_sources, normalised_distance
from seqloss.recipes.run import Run
from seqloss.recipes.transcriber import Transcriber
from seqloss.torch import ctc_align, ctc_greedy

PACKAGES = ("seqloss", "torch", "lightning", "numpy", "numba")
PICTURES, READ = 12, 512
"""Items that are drawn, and that are read to find mistakes."""

NOTHING = "∅"
"""Stands for the character that was left out, or that was not there."""


@dataclass(frozen=True)
class Shown:
    """One validation item.

    Attributes:
        truth, read: its text, and what the network reads. distance: normalised edit distance.
        line: the picture, (height, width) in 0..1, 1 for paper.
        probabilities: (frames, classes).
        wanted: class of each frame on the best path that reads as the truth; empty where none fits.
        best: the most probable class of each frame.
    """

    truth: str
    read: str
    distance: float
    line: np.ndarray
    probabilities: np.ndarray
    wanted: np.ndarray
    best: np.ndarray


@dataclass(frozen=True)
class Gathered:
    """A run's report before it is drawn.

    Attributes:
        name: of the run. settings, versions: as pairs of words.
        history: see `seqloss.recipes.history`. result: of a finished run, else None.
        symbols: the text of each class, the blank's first.
        shown: the items to be drawn: the worst, then the first of the others. count: of the items that were read.
        mistakes: (distance, truth, read) of the worst. confusions: (true character, read, how often).
    """

    name: str
    settings: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    history: dict[str, Any]
    result: dict[str, Any] | None
    symbols: list[str]
    shown: list[Shown]
    count: int
    mistakes: list[tuple[float, str, str]]
    confusions: list[tuple[str, str, int]]


def gather(folder: Path) -> Gathered:
    """Read a run, finished or not.

    Raises:
        RunError: the folder holds no run that has finished an epoch.
        DataError: its pictures cannot be used any more.
    """
    reader, run = Transcriber(folder), Run(folder)
    known = run.read("settings") or {}
    settings = Settings(**{field.name: known[field.name] for field in fields(Settings) if field.name in known})
    sources, *_ = load_sources(settings, True, reader.vocabulary, None)
    source = sources.get("validation") or sources["train"]
    batches = BatchReader(source, reader.vocabulary)
    count = min(READ, len(source))
    read: list[tuple[float, int, str, str]] = []
    for start in range(0, count, settings.batch):
        keys = [(0, index) for index in range(start, min(count, start + settings.batch))]
        batch = batches[keys]
        texts = [reader.vocabulary.decode(found.labels.tolist()) for found in _greedy(reader, batch)]
        read += [
            (normalised_distance(text, truth), index, truth, text)
            for (_, index), truth, text in zip(keys, batch.texts, texts, strict=True)
        ]
    worst = sorted(read, key=lambda item: -item[0])
    kept = [item[1] for item in worst[: PICTURES // 2]]
    kept += [item[1] for item in read if item[1] not in kept][: PICTURES - len(kept)]
    return Gathered(
        name=run.folder.name,
        settings=[(name, str(value)) for name, value in known.items()],
        versions=[(name, importlib.metadata.version(name)) for name in PACKAGES],
        history=run.read("history") or {"points": [], "epochs": [], "clip": None},
        result=run.read("result"),
        symbols=["blank", *(reader.vocabulary.decode([k]) for k in range(1, len(reader.vocabulary)))],
        shown=_shown(reader, batches[[(0, index) for index in kept]]),
        count=count,
        mistakes=[(distance, truth, text) for distance, _, truth, text in worst[:12] if distance > 0],
        confusions=confusions([(truth, text) for _, _, truth, text in read])[:16],
    )


def _outputs(reader: Transcriber, batch: Lines) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return reader.network(batch.pictures, batch.widths)


def _greedy(reader: Transcriber, batch: Lines) -> list[Any]:
    return ctc_greedy(*_outputs(reader, batch))


def _shown(reader: Transcriber, batch: Lines) -> list[Shown]:
    logits, frames = _outputs(reader, batch)
    wanted = ctc_align(logits, batch.targets, frames, batch.target_lengths).classes.numpy()
    texts = [reader.vocabulary.decode(found.labels.tolist()) for found in ctc_greedy(logits, frames)]
    probabilities = logits.softmax(2).numpy()
    shown = []
    for n, (truth, text) in enumerate(zip(batch.texts, texts, strict=True)):
        count, width = int(frames[n]), int(batch.widths[n])
        line = -batch.pictures[n, 0, :, :width].numpy()
        line = (line - line.min()) / max(1e-6, float(np.ptp(line)))
        best = probabilities[n, :count].argmax(1)
        fits = wanted[n, :count] if (wanted[n, :count] >= 0).all() else np.zeros(0, np.int64)
        distance = normalised_distance(text, truth)
        shown.append(Shown(truth, text, distance, line, probabilities[n, :count], fits, best))
    return shown


def confusions(pairs: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """What was read as what, the most frequent first.

    Args:
        pairs: (truth, read).

    Example:
        >>> confusions([("maus", "haus"), ("maus", "hau")])
        [('m', 'h', 2), ('s', '∅', 1)]
    """
    counted: Counter[tuple[str, str]] = Counter()
    for truth, read in pairs:
        for step in Levenshtein.editops(truth, read):
            kind, a, b = step.tag, step.src_pos, step.dest_pos
            counted[NOTHING if kind == "insert" else truth[a], NOTHING if kind == "delete" else read[b]] += 1
    return [(a, b, count) for (a, b), count in counted.most_common()]
