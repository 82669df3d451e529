"""An epoch has each row once, and no row of it is held out."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seqloss.doctor.batch_rows import find_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.input_rows import find_input_rows
from seqloss.doctor.label_rows import find_label_rows
from seqloss.doctor.subject import NotChecked, Subject

LEAST = 32
"""Different numbers of a row, so that no two rows are equal by chance."""

LEAST_BITS = 48.0
"""What a row of integers says, by how often each of them occurs: that two rows are equal by chance is out of question
even where the words of a language follow from each other."""

COMMON = 0.1
"""Share of such held-out rows that are in the training, too: some sentences are common."""

SAMPLE = 4096

MANY = 0.25
"""Share of rows that are repeated; a sampler that draws with replacement repeats a few."""

CODE = """\
seen = [hash(row.numpy().tobytes()) for batch in loader for row in batch["inputs"]]
print(len(seen), len(set(seen)))
"""


def check(subject: Subject) -> Iterator[Finding]:
    batches = _distinct(subject.data.batches)
    rows = [list(_digests(batch)) for batch in batches]
    if not any(rows):
        raise NotChecked("the batches have no rows of many numbers")
    yield from _check_repeats(rows, one_epoch=_is_one_epoch(subject.data.loader))
    held_out = {digest for batch in subject.data.held_out or () for digest in _digests(batch)}
    seen = {digest for digests in rows for digest in digests}
    floats = bool(list(find_input_rows(batches[0])))
    if len(held_out & seen) > (0 if floats else max(2, COMMON * len(held_out))):
        yield Finding(
            "held-out-overlaps", "error", {"rows": len(held_out & seen), "of held-out rows": len(held_out)},
            "rows of the training are among those that are held out: the held-out loss is too good",
            "Split by recording, page or speaker, before rows are cut or copied", CODE,
        )  # fmt: skip


def _check_repeats(rows: Sequence[Sequence[str]], *, one_epoch: bool) -> Iterator[Finding]:
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
    elif one_epoch and repeated > MANY * count:
        yield Finding(
            "rows-repeated", "warning", {"rows": count, "repeated": repeated, "share": repeated / count},
            "many rows of one epoch are equal: files are listed twice, or workers read the same ones",
            "Remove the copies; `seqloss doctor` lists those of a data folder", CODE,
        )  # fmt: skip


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
