"""An epoch has each row once, and no row of it is held out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seqloss.doctor.batches.input_rows import find_input_rows
from seqloss.doctor.batches.label_rows import find_label_rows
from seqloss.doctor.batches.parts import parts_of
from seqloss.doctor.batches.rows import find_rows
from seqloss.doctor.batches.token_rows import token_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.row_overlap import chance_of_overlap
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.training_data import draw

LEAST = 32
"""Different numbers of a row, so that no two rows are equal by chance."""

LEAST_BITS = 48.0
"""What a row of integers says, by how often each of them occurs: that two rows are equal by chance is out of question
even where the words of a language follow from each other."""

COMMON = 0.1
"""Share of such held-out rows that are in the training, too: some sentences are common."""

CHANCE = 1e-6
"""That so many held-out rows are in the training, if they were drawn from the same texts."""

MORE, SECONDS = 256, 3.0
"""Batches of tokens that are read, and for how long."""

SAMPLE = 4096

MANY = 0.25
"""Share of rows that are repeated; a sampler that draws with replacement repeats a few."""

ONCE = 0.1
"""Share of different rows of tokens that may come once where all of them are listed twice."""

CODE = """\
seen = [hash(row.numpy().tobytes()) for batch in loader for row in batch["inputs"]]
print(len(seen), len(set(seen)))
"""


def check(subject: Subject) -> Iterator[Finding]:
    batches = _distinct(subject.data.batches)
    rows = [list(_digests(batch)) for batch in batches]
    if not any(rows) and not any(True for _ in token_rows(batches)):
        raise NotChecked("the batches have no rows of many numbers, and none of tokens")
    floats = bool(list(find_input_rows(batches[0])))
    yield from _check_repeats(rows, one_epoch=_is_one_epoch(subject.data.loader), floats=floats)
    yield from _check_held_out(subject, batches, {digest for digests in rows for digest in digests})


def _check_held_out(subject: Subject, batches: Sequence[object], seen: set[str]) -> Iterator[Finding]:
    """Rows of many numbers are equal once; short ones of tokens are compared with how often the training repeats."""
    others = _distinct(subject.data.held_out or ())
    if list(find_input_rows(batches[0])):
        digests = {digest for batch in others for digest in _digests(batch)}
        count, both = len(digests), len(digests & seen)
    elif not any(map(_is_input, parts_of(batches[0]).values())):
        trained, other = list(token_rows(_more_batches(subject))), list(token_rows(others))
        count, both = len(set(other)), len(set(other) & set(trained))
        if both <= max(2, COMMON * count) or chance_of_overlap(trained, other) > CHANCE:
            return
    else:
        return
    if both:
        yield Finding(
            "held-out-overlaps", "error", {"rows": both, "of held-out rows": count},
            "rows of the training are among those that are held out: the held-out loss is too good",
            "Split by recording, page or speaker, before rows are cut or copied", CODE,
        )  # fmt: skip


def _is_input(part: object) -> bool:
    """Floats whose rows were not recognised: the same text can be read by another speaker."""
    return isinstance(part, Tensor) and part.is_floating_point() and part.dim() > 1


def _more_batches(subject: Subject) -> list[object]:
    """Of the training, of a loader that can be read again: rows of tokens are cheap, and few of them say little."""
    loader, batches = subject.data.loader, subject.data.batches
    if loader is None or isinstance(loader, Sequence | Iterator) or not subject.data.held_out:
        return _distinct(batches)
    return draw(loader, min(MORE, len(loader)) if hasattr(loader, "__len__") else len(batches), seconds=SECONDS)


def _check_repeats(rows: Sequence[Sequence[str]], *, one_epoch: bool, floats: bool) -> Iterator[Finding]:
    count = sum(map(len, rows))
    repeated = count - len({digest for digests in rows for digest in digests})
    sets = Counter(frozenset(digests) for digests in rows if digests)
    copies = min(sets.values(), default=1)
    workers = len(rows) > 1 and rows[0] and frozenset(rows[0]) == frozenset(rows[1])
    if copies > 1 and workers:
        yield Finding(
            "batches-repeat", "error", {"batches": len(rows), "different": len(sets), "times": copies},
            "each batch comes several times, one after the other: every worker of the loader reads the whole data",
            "Read a part of the data in each worker: torch.utils.data.get_worker_info()", CODE,
        )  # fmt: skip
    elif one_epoch and repeated > MANY * count and (floats or _hardly_any_comes_once(rows)):
        yield Finding(
            "rows-repeated", "warning", {"rows": count, "repeated": repeated, "share": repeated / count},
            "many rows of one epoch are equal: files are listed twice, or workers read the same ones",
            "Remove the copies; `seqloss doctor` lists those of a data folder", CODE,
        )  # fmt: skip


def _hardly_any_comes_once(rows: Sequence[Sequence[str]]) -> bool:
    """As when all files are listed twice; sentences of a small language repeat, and many come once."""
    counts = Counter(digest for digests in rows for digest in digests)
    return sum(count == 1 for count in counts.values()) < ONCE * len(counts)


def _is_one_epoch(loader: object) -> bool:
    """Of a loader that knows its size; a list may hold batches of several epochs."""
    return hasattr(loader, "__len__") and not isinstance(loader, Sequence)


def _distinct(batches: Sequence[object]) -> list[object]:
    """Without a batch that was given several times as one object: that is meant."""
    return list({id(batch): batch for batch in batches}.values())


def _digests(batch: object) -> Iterator[str]:
    """Of each row: of its inputs of floats, else of its longest integers, if they say enough."""
    parts = list(find_input_rows(batch))
    if parts:
        largest = max(parts, key=lambda part: part.rows[0].numel())
        yield from (_digest(row) for row in largest.rows if _different(row) >= LEAST)
        return
    rows = find_rows(batch)
    candidates = find_label_rows(rows) if rows else ()
    labels = max(candidates, key=lambda one: sum(map(len, one.rows)), default=None)
    if labels is None:
        return
    counts = Counter(one for row in labels.rows for one in row)
    bits = {one: -math.log2(count / counts.total()) for one, count in counts.items()}
    for row in labels.rows:
        if sum(bits[one] for one in row) >= LEAST_BITS:
            yield hashlib.sha256(repr(row).encode()).hexdigest()


def _different(row: Tensor) -> int:
    """How many different numbers a row has, in a part of it if it is long."""
    flat = row.flatten()
    return len(flat[:: max(1, len(flat) // SAMPLE)].unique())


def _digest(row: Tensor) -> str:
    return hashlib.sha256(row.contiguous().view(-1).view(torch.uint8).numpy().tobytes()).hexdigest()
