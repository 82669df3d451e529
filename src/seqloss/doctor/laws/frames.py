"""Each text fits the frames that a CTC loss gets: one for each label, and one between equal ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

from seqloss.doctor.batches.ctc_rows import find_ctc_rows, input_lengths
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.sanity_checks import count_infeasible
from seqloss.doctor.subject import NotChecked, Subject

SECONDS = 2.0

CODE = """\
from seqloss.torch import ctc_check
print(ctc_check(logits, targets, logit_lengths, target_lengths))  # names the rows
"""


def check(subject: Subject) -> Iterator[Finding]:
    short: list[tuple[int, int, int, int]] = []  # batch, row, frames, needed
    lengths: list[tuple[int, int]] = []  # input steps, frames needed
    rows, stride, end = 0, 0.0, time.perf_counter() + SECONDS
    for number, batch in enumerate(subject.data.batches):
        found = find_ctc_rows(subject, batch)
        if found is None and not number:
            raise NotChecked("the loss was not recognised as a CTC loss")
        if found is None or (number and time.perf_counter() > end):
            break
        rows += len(found.fits)
        for row, (fits, frames, needed) in enumerate(zip(found.fits, found.frames, found.needed, strict=True)):
            if not fits and needed:
                short.append((number, row, frames, needed))
        steps = input_lengths(BatchRows(batch)) or found.frames
        lengths += zip(steps, found.needed, strict=True)
        stride = max(stride, max(steps) / max(1, *found.frames))
    if not short:
        return
    yield Finding(
        "texts-too-long", "error",
        {
            "rows": len(short), "of": rows, "share": len(short) / rows,
            "such as": [f"batch {batch}, row {row}: {needed} frames needed, {frames} found"
                        for batch, row, frames, needed in short[:3]],
            "input steps for each frame": round(stride), "would fit": _describe_fit(lengths, round(stride)),
        },
        "texts need more frames than they have: CTC has no path for them, and with zero_infinity they count for "
        "nothing without a word",
        "Subsample less, or leave these rows out", CODE,
    )  # fmt: skip


def _describe_fit(rows: list[tuple[int, int]], stride: int) -> str:
    """The largest subsampling with which all texts fit, or the one that leaves the fewest out."""
    short = {step: count_infeasible(rows, step) for step in range(1, max(2, stride))}
    best = max(step for step in short if short[step] == min(short.values()))
    left = short[best]
    return f"all at subsampling {best}" if not left else f"all but {left} at subsampling {best}"
