"""The explicit check of a batch."""

from __future__ import annotations

import numpy as np

from seqloss import contract, errors
from seqloss.contract import Batch
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.rows import Path
from seqloss.numpy.arrays import FloatArray, IntegerArray, log_softmax_rounding, logits_to_numpy
from seqloss.numpy.findings import Finding, Kind, Report

KINDS: dict[type, Kind] = {
    errors.LengthError: "length",
    errors.LabelError: "label",
    errors.NormalizationError: "normalization",
}


def ctc_check(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Find the rows of a batch that cannot be trained on, with the reason for each.

    `ctc_loss` raises for the first invalid row only, or returns inf or NaN without a reason. This function checks all
    rows and gives the reason for each.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: `blank` is not a class.
        LengthError: the target lengths of concatenated targets do not add up to the number of labels.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_check
        >>> report = ctc_check(np.zeros((3, 2, 4)), [[1, 2], [1, 1], [3, 4]])
        >>> report.counts
        {'infeasible': 1, 'label': 1}
        >>> report.findings[0].cause[:64]
        'row 1: no path fits: 2 labels with 1 adjacent repeats need 3 fra'
    """
    values, kind = logits_to_numpy(logits)
    batch = contract.validate(values.shape, targets, logit_lengths, target_lengths, blank=blank, values=False)
    return find_bad_rows(values, batch, normalize, log_softmax_rounding(kind.name))


def find_bad_rows(values: np.ndarray, batch: Batch, normalize: bool, rounding: float) -> Report:
    """Check a batch whose shapes and types are valid; used by all frontends.

    Args:
        values: float32 or float64 (batch, time, classes).
        batch: from `contract.validate(..., values=False)`.
        normalize: see `ctc_loss`.
        rounding: of the original type of the logits, see `contract.check_normalized`.
    """
    findings = {
        row: Finding(row, KINDS[type(error)], str(error))
        for row, error in contract.bad_rows(values.shape, batch).items()
    }
    _, paths, _ = loss_and_grad(values, batch, normalize=normalize, gradient=False)
    for row in range(values.shape[0]):
        if row in findings:
            continue
        frames = values[row, : batch.logit_lengths[row]]
        error = None if normalize else contract.not_normalized(frames, row, rounding)
        if error:
            findings[row] = Finding(row, "normalization", str(error))
        elif paths[row] == Path.NON_FINITE:
            read = None if normalize else [batch.blank, *batch.targets[row, : batch.target_lengths[row]]]
            findings[row] = Finding(row, "non-finite", errors.non_finite_row(row, *_first_non_finite(frames, read)))
        elif paths[row] == Path.INFEASIBLE:
            findings[row] = Finding(row, "infeasible", str(contract.infeasible_row(row, batch)))
        elif normalize and (error := contract.probabilities_for_scores(frames, row, rounding)):
            findings[row] = Finding(row, "probabilities", str(error))
    return Report(values.shape[0], tuple(findings[row] for row in sorted(findings)))


def _first_non_finite(frames: np.ndarray, read: list[int] | None) -> tuple[int, float]:
    """Return the first frame that cannot be used, and the score that is the reason.

    Args:
        frames: logits of one row, (time, classes).
        read: the classes that the loss reads; None for all. A frame of only -inf cannot be used if all are read.
    """
    for t, frame in enumerate(frames if read is None else frames[:, read]):
        wrong = frame[np.isnan(frame) | (frame == np.inf)]
        if wrong.size or (read is None and (frame == -np.inf).all()):
            return t, float(wrong[0]) if wrong.size else -np.inf
    raise AssertionError("the kernel found a frame that cannot be used")
