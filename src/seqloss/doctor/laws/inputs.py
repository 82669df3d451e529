"""Each input has something in it: finite numbers that vary, and that are not masked away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from seqloss.doctor.batches.constant_rows import find_constant
from seqloss.doctor.batches.ctc_rows import find_ctc_rows
from seqloss.doctor.batches.input_rows import find_input_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import NotChecked, Subject

SILENT = 0.5
"""If more rows than these are constant, the part is no input but a state or a mask, unless it is the only one."""

MASKED = 0.6
"""Share of the frames of a row that a mask may cover, on the average."""

Place = tuple[int, int, Tensor]

CODE = """\
for row, length in zip(inputs, lengths):
    print(row[:length].std(), row[:length].isfinite().all())
"""


def check(subject: Subject) -> Iterator[Finding]:
    places: dict[str, list[Place]] = {}
    with_steps: set[str] = set()
    for number, batch in enumerate(subject.data.batches):
        for part in find_input_rows(batch):
            places.setdefault(part.name, []).extend((number, row, x) for row, x in enumerate(part.rows))
            with_steps |= {part.name} if part.has_steps else set()
    if not places:
        raise NotChecked("the batches have no input of floats")
    for name, rows in places.items():
        yield from _check_finite(name, rows)
        yield from _check_silent(name, rows, only=len(places) == 1, has_steps=name in with_steps)
        if name in with_steps:
            yield from _check_masks(name, rows)
    yield from _check_loss(subject, places)


def _check_finite(name: str, rows: Sequence[Place]) -> Iterator[Finding]:
    bad = [place for place in rows if not bool(place[2].isfinite().all())]
    if bad:
        shortest = min(len(x) for *_, x in bad)
        short = all(len(x) == 1 for *_, x in bad)
        yield Finding(
            "inputs-not-finite", "error",
            {"input": name, "rows": len(bad), "of": len(rows), "such as": _name(bad), "shortest": shortest},
            "inputs hold NaN or inf" + (": they have one frame, and a normaliser divides by its deviation" if short else
                                        ": a normaliser divides by 0, or the logarithm of 0 is taken"),
            "Add a small number before you divide or take a logarithm; leave rows of one frame out", CODE,
        )  # fmt: skip


def _check_silent(name: str, rows: Sequence[Place], *, only: bool, has_steps: bool) -> Iterator[Finding]:
    inputs = [x for *_, x in rows]
    all_silent = only and all(x.numel() > 1 and bool((x == x.flatten()[0]).all()) for x in inputs)
    silent = rows if all_silent else [rows[place] for place in find_constant(inputs, has_steps=has_steps)]
    if silent and (all_silent or len(silent) <= SILENT * len(rows)):
        yield Finding(
            "inputs-silent", "error" if all_silent else "warning",
            {"input": name, "rows": len(silent), "of": len(rows), "such as": _name(silent),
             "value": float(silent[0][2].flatten()[0])},
            "the values of these rows are the same in all steps: silence, an empty picture, or a row that is masked "
            "away",
            "Leave these rows out: their texts cannot be learnt from them", CODE,
        )  # fmt: skip


def _check_masks(name: str, rows: Sequence[Place]) -> Iterator[Finding]:
    shares = torch.tensor([_masked(x) for *_, x in rows])
    partly = shares[shares < 1]
    if len(partly) and float(partly.mean()) > MASKED:
        yield Finding(
            "inputs-masked", "warning",
            {"input": name, "share of frames masked": float(partly.mean()), "in the worst row": float(shares.max())},
            "most frames of a row are set to one number: masks are wider than the rows are long",
            "Make masks a share of a row's own length, a fifth of it or less", CODE,
        )  # fmt: skip


def _masked(x: Tensor) -> float:
    """Share of frames all of whose values are the commonest value of such frames."""
    if x.dim() != 2 or x.shape[1] < 2:
        return 0.0
    flat = x[(x == x[:, :1]).all(1), 0]
    return int((flat == flat.mode().values).sum()) / len(x) if len(flat) else 0.0


def _check_loss(subject: Subject, places: dict[str, list[Place]]) -> Iterator[Finding]:
    """The batches with the shortest and with constant rows have a finite loss, if the first one has."""
    batches = subject.data.batches
    chosen = {min(rows, key=lambda place: len(place[2]))[0] for rows in places.values()}
    with torch.no_grad():
        if not subject.call(batches[0], train=True).loss.isfinite():
            return
        bad = [number for number in sorted(chosen) if not subject.call(batches[number], train=True).loss.isfinite()
               and _fit(subject, batches[number])]  # fmt: skip
    finite = [number for number in bad if all(bool(x.isfinite().all()) for rows in places.values()
                                              for at, _, x in rows if at == number)]  # fmt: skip
    if finite:
        shortest = min(len(x) for rows in places.values() for number, _, x in rows if number in finite)
        yield Finding(
            "short-rows-not-finite", "error", {"batches": finite, "steps of the shortest row": shortest},
            "the loss of the batch with the shortest row is not finite, while that of the first batch is: a normaliser "
            "divides by a deviation of one frame, or the row is shorter than a kernel or its text",
            "Leave rows out that are shorter than their text or than one output frame", "print(loss(model, batch))",
        )  # fmt: skip


def _fit(subject: Subject, batch: object) -> bool:
    """Whether no text is too long for its frames, which has a finding of its own."""
    found = find_ctc_rows(subject, batch)
    return found is None or all(frames >= needed for frames, needed in zip(found.frames, found.needed, strict=True))


def _name(places: Sequence[Place]) -> list[str]:
    return [f"batch {number}, row {row}" for number, row, _ in places[:3]]
