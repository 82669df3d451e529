"""A label takes as many input steps in held-out rows as in those of the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from seqloss.doctor.batches.ctc_rows import find_ctc_rows, input_lengths
from seqloss.doctor.batches.label_rows import find_label_rows
from seqloss.doctor.batches.parts import Path
from seqloss.doctor.batches.rows import find_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

RATIO, LEAST = 1.5, 16
"""Of the medians of steps for each label; rows of each kind."""

CODE = """\
for batch in (*train, *held_out):
    print((batch["lengths"] / batch["label_lengths"]).median())
"""


def check(subject: Subject) -> Iterator[Finding]:
    if not subject.data.held_out:
        raise NotChecked("held-out batches are needed")
    ctc = find_ctc_rows(subject, subject.batches[0])
    if ctc is None:
        raise NotChecked("the loss was not recognised as a CTC loss")
    key = (ctc.labels.path, ctc.labels.lengths)
    ours, theirs = (_steps(batches, key) for batches in (subject.data.batches, subject.data.held_out))
    if min(len(ours), len(theirs)) < LEAST:
        raise NotChecked(f"{LEAST} rows of each kind are needed")
    ratio = median(theirs) / median(ours)
    if max(ratio, 1 / ratio) >= RATIO and _are_apart(ours, theirs):
        yield Finding(
            "rates-differ", "warning",
            {"input steps for each label": median(ours), "held out": median(theirs)},
            "held-out rows have another number of steps for each label than those of the training: recordings are "
            "read at another sampling rate, or images scaled to another height",
            "Resample all recordings to one rate, and scale images alike", CODE,
        )  # fmt: skip


def _steps(batches: Sequence[object], key: tuple[Path, Path | None]) -> list[float]:
    found: list[float] = []
    for batch in batches:
        rows = find_rows(batch)
        if rows is None:
            continue
        lengths = input_lengths(rows)
        labels = next((one for one in find_label_rows(rows) if (one.path, one.lengths) == key), None)
        if lengths is not None and labels is not None:
            found += [length / len(row) for length, row in zip(lengths, labels.rows, strict=True) if row]
    return found


def _are_apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether nine of ten of the smaller ones are below nine of ten of the larger ones."""
    low, high = sorted((sorted(one), sorted(other)), key=median)
    return low[int(0.9 * len(low))] < high[int(0.1 * len(high))]
