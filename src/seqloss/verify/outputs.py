"""A network's own outputs as a file, to hold implementations against: an .npz of the arguments of one call."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from seqloss import contract, errors
from seqloss.verify.agreement import agreement
from seqloss.verify.asking import Absent, Process
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import Problem
from seqloss.verify.report import Report
from seqloss.verify.run import versions_of
from seqloss.verify.runner import Runner


def read(file: Path) -> Problem:
    """logits (batch, time, classes), targets (batch, labels); logit_lengths, target_lengths, blank if they are there.

    Raises:
        VerifyError: an array is missing or does not fit the others.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/out.npz", logits=np.zeros((1, 2, 3)), targets=[[1]])
        ...     read(Path(folder) / "out.npz").shape
        (1, 2, 3, 1)
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            given = {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as problem:
        raise errors.VerifyError(f"{file}: no .npz of arrays, as numpy.savez writes them ({problem}).") from problem
    missing = [name for name in ("logits", "targets") if name not in given]
    if missing:
        raise errors.VerifyError(
            f"{file}: no array {missing[0]!r}, only {', '.join(sorted(given)) or 'nothing'}; expected logits (batch, "
            "time, classes) and targets (batch, labels), and logit_lengths, target_lengths and blank if there are any."
        )
    logits, targets, blank = given["logits"], given["targets"], _blank(file, given.get("blank"))
    try:
        batch = contract.validate(
            logits.shape, targets, given.get("logit_lengths"), given.get("target_lengths"), blank=blank
        )
    except errors.SeqLossError as problem:
        raise errors.VerifyError(f"{file}: {problem}") from problem
    return Problem(
        logits.astype(np.float64),
        np.asarray(batch.targets, np.int64),
        np.asarray(batch.logit_lengths, np.int64),
        np.asarray(batch.target_lengths, np.int64),
        batch.blank,
    )


def _blank(file: Path, found: np.ndarray | None) -> int:
    if found is None:
        return 0
    if found.size != 1 or found.dtype.kind not in "iu":
        raise errors.VerifyError(
            f"{file}: blank is {found.dtype} of shape {found.shape}; expected one integer, the blank's class."
        )
    return int(found.reshape(()))


def told(reports: Sequence[Report]) -> Iterator[str]:
    """What the figures mean, in lines."""
    for report in reports:
        for x in report.agreement:
            rows = x.utterances + x.impossible
            if x.impossible:
                yield (
                    f"{report.name}, {x.dtype}: no path fits {x.impossible} of {rows} rows (their loss is infinite): "
                    "they are not in the figures."
                )
            if x.apart:
                yield (
                    f"{report.name}, {x.dtype}: {x.apart} of {rows} rows are further from the definition than rounding "
                    f"explains; seqloss verify {report.name!r} looks for the cause."
                )
            else:
                yield f"{report.name}, {x.dtype}: all {rows} rows are right to rounding."


def hold(implementation: Implementation, given: Problem, limit: float = 300.0) -> Report:
    """How far an implementation's answers to these outputs are from the definition's, for each type of scores."""
    versions, missing = versions_of(implementation)
    if missing:
        return Report(implementation.name, versions, skipped=missing)
    try:
        with Process(implementation, limit) as asked:
            figures = [agreement(Runner(asked, dtype), given) for dtype in implementation.dtypes]
    except Absent as reason:
        return Report(implementation.name, versions, skipped=str(reason))
    found = [figure for figure in figures if figure is not None]
    return Report(
        implementation.name, versions, agreement=found, skipped="" if found else "it gave no answer to these outputs"
    )
