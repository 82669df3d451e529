"""All that a run's report shows: what was recorded, and what the best epoch says of the validation pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from seqloss.data import Vocabulary
from seqloss.doctor.lightning import blank_share
from seqloss.errors import DataError, RunError
from seqloss.recipes.lines import BatchReader, Files, Lines
from seqloss.recipes.ocr import OPTIMIZERS, Settings, load_sources, normalised_distance
from seqloss.recipes.run import Run
from seqloss.recipes.transcriber import Transcriber
from seqloss.torch import ctc_align, ctc_greedy

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
class Items:
    """What the best epoch says of pictures that it can be shown.

    Attributes:
        kind: "validation", or "training" where nothing was held out.
        shown: the items to be drawn: the worst, then the first of the others. count: of the items that were read.
        blank: the share of their frames that say blank.
        mistakes: (distance, truth, read) of the worst. confusions: (true character, read, how often).
        changed: whether the data are not those that the run was trained on.
    """

    kind: str
    shown: list[Shown]
    count: int
    blank: float
    mistakes: list[tuple[float, str, str]]
    confusions: list[tuple[str, str, int]]
    changed: bool


@dataclass(frozen=True)
class Gathered:
    """A run's report before it is drawn.

    Attributes:
        name: of the run. settings, versions: as pairs of words.
        history: see `seqloss.recipes.history`. result: of a finished run, else None.
        symbols: the text of each class, the blank's first.
        items: what it reads; None where nothing can be read, for the reason `trouble`.
    """

    name: str
    settings: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    history: dict[str, Any]
    result: dict[str, Any] | None
    symbols: list[str]
    items: Items | None
    trouble: str


def gather(folder: Path) -> Gathered:
    """Read a run, finished or not.

    Raises:
        RunError: the folder holds no run that has taken a step.
    """
    run = Run(folder)
    known, history = run.read("settings"), run.read("history")
    if known is None or not run.vocabulary.exists():
        raise RunError(f"{folder}: holds no run; train one with: seqloss train ocr --out {folder}")
    if history is None and not run.best.exists():
        raise RunError(f"{folder}: has taken no step yet; ask again in a moment, or train it first.")
    history = {"points": [], "epochs": [], "clip": None, "trainer": {}, "versions": {}, **(history or {})}
    settings = Settings(**{field.name: known[field.name] for field in fields(Settings) if field.name in known})
    vocabulary = Vocabulary.load(run.vocabulary)
    items, trouble = None, ""
    try:
        items = _read(Transcriber(folder), settings, known.get("data_digest"))
    except (RunError, DataError, OSError) as problem:
        trouble = str(problem).splitlines()[0].rstrip(":")
    return Gathered(
        name=run.folder.name,
        settings=_settings(settings, history["trainer"]),
        versions=list(history["versions"].items()),
        history=history,
        result=run.read("result"),
        symbols=["blank", *(vocabulary.decode([k]) for k in range(1, len(vocabulary)))],
        items=items,
        trouble=trouble,
    )


def _settings(settings: Settings, trainer: dict[str, Any]) -> list[tuple[str, str]]:
    """What a run was asked for, and what that came to."""
    told = {**asdict(settings), "lr": settings.lr or OPTIMIZERS[settings.optimizer][1]}
    if settings.data is None:
        told["data"] = "painted words"
    else:
        told = {name: value for name, value in told.items() if "painted" not in name}
    return [(name, str(value)) for name, value in {**told, **trainer}.items()]


def _read(reader: Transcriber, settings: Settings, digest: str | None) -> Items:
    sources, _, now, _ = load_sources(settings, True, reader.vocabulary, None)
    kind = "validation" if "validation" in sources else "train"
    source = sources[kind]
    if isinstance(source, Files):
        source = Files(source.items, source.height)  # as they are, not varied
    batches = BatchReader(source, reader.vocabulary)
    count = min(READ, len(source))
    read: list[tuple[float, int, str, str]] = []
    blank, all_frames = 0.0, 0
    for start in range(0, count, settings.batch):
        keys = [(0, index) for index in range(start, min(count, start + settings.batch))]
        batch = batches[keys]
        logits, frames = _outputs(reader, batch)
        blank += blank_share(logits, frames) * int(frames.sum())
        all_frames += int(frames.sum())
        texts = [reader.vocabulary.decode(found.labels.tolist()) for found in ctc_greedy(logits, frames)]
        read += [
            (normalised_distance(text, truth), index, truth, text)
            for (_, index), truth, text in zip(keys, batch.texts, texts, strict=True)
        ]
    worst = sorted(read, key=lambda item: -item[0])
    kept = [item[1] for item in worst[: PICTURES // 2]]
    kept += [item[1] for item in read if item[1] not in kept][: PICTURES - len(kept)]
    return Items(
        kind="validation" if kind == "validation" else "training",
        shown=_shown(reader, batches[[(0, index) for index in kept]]),
        count=count,
        blank=blank / max(1, all_frames),
        mistakes=[(distance, truth, text) for distance, _, truth, text in worst[:12] if distance > 0],
        confusions=confusions([(truth, text) for _, _, truth, text in read])[:16],
        changed=digest is not None and digest != now,
    )


def _outputs(reader: Transcriber, batch: Lines) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return reader.network(batch.pictures, batch.widths)


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
