"""Evaluate implementations on the outputs of a model: an .npz file with the arguments of one call."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from seqloss import contract, errors
from seqloss.verify.implementation import Implementation
from seqloss.verify.installed_packages import package_versions
from seqloss.verify.narrowing import narrow_types
from seqloss.verify.numerical_error import measure_numerical_error
from seqloss.verify.problem import Problem
from seqloss.verify.processes import Unavailable, WorkerProcess
from seqloss.verify.report import Report
from seqloss.verify.runner import Runner


def read_model_outputs(file: Path) -> Problem:
    """Read the outputs of a model.

    Args:
        file: an .npz with `logits` (batch, time, classes) and `targets` (batch, labels); optionally `logit_lengths`,
            `target_lengths` and `blank`.

    Returns:
        the problem.

    Raises:
        VerifyError: the file is not an .npz of arrays; an array is missing or invalid.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/out.npz", logits=np.zeros((1, 2, 3)), targets=[[1]])
        ...     read_model_outputs(Path(folder) / "out.npz").shape
        (1, 2, 3, 1)
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            given = {name: arrays[name] for name in arrays.files}
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as problem:
        raise errors.VerifyError(
            f"{file}: not an .npz of arrays ({problem}); write it with numpy.savez or seqloss export."
        ) from problem
    missing = [name for name in ("logits", "targets") if name not in given]
    if missing:
        raise errors.VerifyError(
            f"{file}: no array {missing[0]!r}, only {', '.join(sorted(given)) or 'nothing'}; expected logits (batch, "
            "time, classes) and targets (batch, labels), and optionally logit_lengths, target_lengths and blank."
        )
    logits, targets, blank = given["logits"], given["targets"], _read_blank(file, given.get("blank"))
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


def _read_blank(file: Path, found: np.ndarray | None) -> int:
    if found is None:
        return 0
    if found.size != 1 or found.dtype.kind not in "iu":
        raise errors.VerifyError(
            f"{file}: blank is {found.dtype} of shape {found.shape}; expected one integer, the class of the blank."
        )
    return int(found.reshape(()))


def evaluate_implementation(implementation: Implementation, given: Problem, limit: float = 300.0) -> Report:
    """Measure the numerical error of an implementation on the outputs of a model.

    Args:
        implementation: what to evaluate.
        given: the outputs, see `read_model_outputs`.
        limit: seconds per call.

    Returns:
        a report with `numerical_errors` only.
    """
    versions, missing = package_versions(implementation)
    if missing:
        return Report(implementation.name, versions, skipped=missing)
    try:
        with WorkerProcess(implementation, limit) as process:
            runner = narrow_types(Runner(process))
            types = runner.implementation.dtypes
            measured = [measure_numerical_error(runner.with_dtype(dtype), given) for dtype in types]
    except Unavailable as reason:
        return Report(implementation.name, versions, skipped=str(reason))
    found = [error for error in measured if error is not None]
    return Report(
        implementation.name,
        versions,
        numerical_errors=found,
        skipped="" if found else "the call with these outputs failed",
    )


def describe_errors(reports: Sequence[Report]) -> Iterator[str]:
    """Infeasible and inaccurate rows of each implementation, in lines of text."""
    for report in reports:
        for error in report.numerical_errors:
            name = f"{report.name}, {error.dtype}"
            rows = error.rows + error.infeasible
            if error.infeasible:
                yield f"{name}: {error.infeasible} of {rows} rows are infeasible (infinite loss) and not in the table."
            if error.inaccurate:
                yield (
                    f"{name}: {error.inaccurate} of {rows} rows have an error larger than rounding explains; "
                    f"find the cause with: seqloss verify {report.name!r}"
                )
            else:
                yield f"{name}: all {rows} rows are correct up to rounding."
