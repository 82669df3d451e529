"""Forced alignment on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.ctc.batch import best_paths
from seqloss.kernels.ctc.rows import Path
from seqloss.numpy.arrays import FloatArray, IntegerArray, check_call, log_softmax_rounding, logits_to_numpy


@dataclass(frozen=True)
class Alignment:
    """The most probable alignment of each row, as returned by `ctc_align`.

    Entries past the length of a row, and all entries of a row without a path, are -1; their scores are 0.

    Attributes:
        classes: class of each frame, int64, shape (batch, time).
        first: first frame of each label, int64, shape (batch, labels).
        last: last frame of each label, int64, shape (batch, labels).
        scores: log-probability of the frames of each label in nats, shape (batch, labels); NaN in a row with a NaN or
            +inf, or with normalize=True a frame of only -inf.
        total: log-probability of the path in nats, shape (batch,); NaN for such a row, as `infeasible` chooses for a
            row without a path.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_align
        >>> best = ctc_align(np.zeros((2, 4, 3)), [[1, 2], [1, 1]], logit_lengths=[4, 2])
        >>> best.classes.tolist()  # two equal labels need three frames: the second row has no path
        [[1, 2, 0, 0], [-1, -1, -1, -1]]
        >>> [round(total, 4) for total in best.total.tolist()]
        [-4.3944, -inf]
    """

    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    total: np.ndarray


def ctc_align(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> Alignment:
    """Find the most probable alignment of a target with the frames (forced alignment).

        argmax_{π: collapse(π) = target} Σ_t log p_t(π_t)

    Ties are broken in favour of the path with the lexicographically earliest label starts, then of the one with the
    shortest spans, label by label. Two paths are equally probable if their float64 scores are equal.

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
        infeasible: total of a row without a path of positive probability: -inf ("inf"), 0 ("zero") or an
            InfeasibleError ("raise").
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length then has classes and frames -1, scores 0
            and the total NaN; with normalize=False, scores whose probabilities add up to more than 1 give numbers
            without meaning, possibly above 0.

    Returns:
        An `Alignment`: the class of each frame, the first and last frame of each label, and log-probabilities in nats;
        these are float32, or float64 for float64 logits.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.
        OutOfMemoryError: there is too little memory. On a CPU, each thread takes up to 16 MB, and about
            20 (frames * (2 labels + 1))^(2/3) bytes: 120 MB for 180,000 frames (an hour of speech) and 40,000 labels.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_align
        >>> best = ctc_align(np.zeros((1, 4, 3)), [[1, 2]])
        >>> best.classes.tolist(), best.first.tolist(), best.last.tolist()
        ([[1, 2, 0, 0]], [[0, 1]], [[0, 1]])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section 4;
            with maxima in place of sums (Viterbi).
    """
    contract.check_options(infeasible, "none", None)
    values, kind = logits_to_numpy(logits)
    batch = check_call(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=log_softmax_rounding(kind.name),
    )  # fmt: skip
    return align_batch(values, batch, normalize=normalize, infeasible=infeasible)


def align_batch(values: np.ndarray, batch: Batch, *, normalize: bool, infeasible: Infeasible) -> Alignment:
    """Align a batch whose arguments are checked already."""
    found = best_paths(values, batch, normalize=normalize)
    infeasible_rows = found.paths == Path.INFEASIBLE
    if infeasible == "raise" and infeasible_rows.any():
        raise contract.infeasible_row(int(np.argmax(infeasible_rows)), batch)
    totals = np.where(infeasible_rows & (infeasible == "zero"), 0.0, found.totals)
    return Alignment(
        found.classes, found.first, found.last, found.scores.astype(values.dtype), totals.astype(values.dtype)
    )
