"""What the best epoch of a run predicts for validation items, read for its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from seqloss.doctor.lightning import blank_share
from seqloss.recipes.recognition.texts import TextTask
from seqloss.report.record import RunRecord
from seqloss.torch import ctc_align
from seqloss.training.batches import BatchDataset
from seqloss.training.predictor import Predictor
from seqloss.training.task import Batch

DRAWN, READ = 12, 512
"""Items that are drawn, and items that are read to find errors."""

NOTHING = "∅"
"""Stands for a character that is missing in the target or in the prediction."""


@dataclass(frozen=True)
class ShownItem:
    """One item that is drawn.

    Attributes:
        target: its text.
        text: the predicted text.
        input: as an image, (height, width) in 0..1.
        probabilities: (frames, classes).
        target_path: class of each frame on the best path of the target; empty where none fits.
        best_path: the most probable class of each frame.
        sound: a data URI to play; "" if the input is no sound.
    """

    target: str
    text: str
    input: np.ndarray
    probabilities: np.ndarray
    target_path: np.ndarray
    best_path: np.ndarray
    sound: str = ""


@dataclass(frozen=True)
class Items:
    """Predictions for held-out items.

    Attributes:
        kind: "validation", or "training" where nothing was held out.
        shown: the items to be drawn: the worst, then the first of the others.
        count: items that were read.
        blank: the share of blank frames.
        errors: (distance, target, text) of the worst items.
        confusions: (target's character, predicted character, count).
        changed: whether the data have changed since the run began.
    """

    kind: str
    shown: list[ShownItem]
    count: int
    blank: float
    errors: list[tuple[float, str, str]]
    confusions: list[tuple[str, str, int]]
    changed: bool


def read_items(record: RunRecord, task: TextTask) -> Items:
    """Predict held-out items with the best epoch.

    Raises:
        RunError: the run has no finished epoch.
        DataError: its data cannot be read any more.
    """
    predictor = Predictor(task, record.run)
    data = task.load_data(skip_bad=True)
    split, source = data.held_out
    batches = BatchDataset(source, task.collate)
    count, size = min(READ, len(source)), task.settings.batch
    read: list[tuple[float, int, str, str]] = []
    blank, frames = 0.0, 0
    for start in range(0, count, size):
        batch = batches.first_items(start, min(count, start + size))
        outputs = predictor.outputs(batch)
        here = int(outputs["logit_lengths"].sum())
        blank += blank_share(outputs["logits"], outputs["logit_lengths"]) * here
        frames += here
        pairs = zip(batch.texts, task.decode_outputs(outputs), strict=True)
        for n, (target, text) in enumerate(pairs):
            target, text = task.scored(target), task.scored(text)
            read.append((task.distance(text, target), start + n, target, text))
    worst = sorted(read, key=lambda item: -item[0])
    kept = [item[1] for item in worst[: DRAWN // 2]]
    kept += [item[1] for item in read if item[1] not in kept][: DRAWN - len(kept)]
    before, cut = record.saved.get("data_digest"), task.vocabulary.split
    return Items(
        kind="validation" if split == "validation" else "training",
        shown=_show(predictor, task, batches[[(0, index) for index in kept]], [task.sound(source, k) for k in kept]),
        count=count,
        blank=blank / max(1, frames),
        errors=[(distance, target, text) for distance, _, target, text in worst[:12] if distance > 0],
        confusions=count_confusions([(cut(target), cut(text)) for _, _, target, text in read])[:16],
        changed=before is not None and before != data.digests.get("data_digest"),
    )


def _show(predictor: Predictor, task: TextTask, batch: Batch, sounds: Sequence[str]) -> list[ShownItem]:
    outputs = predictor.outputs(batch)
    logits, lengths = outputs["logits"], outputs["logit_lengths"]
    target_paths = ctc_align(logits, batch.targets, lengths, batch.target_lengths).classes.numpy()
    probabilities = logits.softmax(2).numpy()
    shown = []
    for n, (target, text) in enumerate(zip(batch.texts, task.decode_outputs(outputs), strict=True)):
        frames = int(lengths[n])
        path = target_paths[n, :frames]
        fits = path if (path >= 0).all() else np.zeros(0, np.int64)
        own = probabilities[n, :frames]
        shown.append(ShownItem(target, text, task.draw_input(batch, n), own, fits, own.argmax(1), sounds[n]))
    return shown


def count_confusions(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> list[tuple[str, str, int]]:
    """Which symbol was predicted for which, the most frequent first.

    Args:
        pairs: symbols of (target, text).

    Example:
        >>> count_confusions([("maus", "haus"), ("maus", "hau")])
        [('m', 'h', 2), ('s', '∅', 1)]
    """
    counted: Counter[tuple[str, str]] = Counter()
    for target, text in pairs:
        for step in Levenshtein.editops(target, text):
            kind, a, b = step.tag, step.src_pos, step.dest_pos
            counted[NOTHING if kind == "insert" else target[a], NOTHING if kind == "delete" else text[b]] += 1
    return [(a, b, count) for (a, b), count in counted.most_common()]
