"""Greedy (best-path) decoding on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss.numpy.arrays import FloatArray, IntegerArray, check_call, log_softmax_rounding, logits_to_numpy


@dataclass(frozen=True)
class Greedy:
    """The decoded labels of one row, as returned by `ctc_greedy`.

    Attributes:
        labels: the classes that are left without repeats and blanks, int64, shape (labels,).
        first: first frame of each label, int64, shape (labels,).
        last: last frame of each label, int64, shape (labels,).
        label_scores: log-probability of the frames of each label in nats, float64, shape (labels,).
        score: log-probability of the whole path in nats, blanks included; NaN if a frame in use has a NaN or +inf, or
            only -inf.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_greedy
        >>> row = ctc_greedy(9.0 * np.eye(3)[None, [0, 2, 2, 0, 1]])[0]
        >>> row.labels.tolist(), row.first.tolist(), row.last.tolist()
        ([2, 1], [1, 4], [2, 4])
        >>> round(row.score, 4)
        -0.0012
    """

    labels: np.ndarray
    first: np.ndarray
    last: np.ndarray
    label_scores: np.ndarray
    score: float


def ctc_greedy(
    logits: FloatArray, logit_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True
) -> list[Greedy]:
    """Decode labels from a network's output by the most probable class of each frame (greedy decoding).

        pi_t = argmax_c logits[t, c]

    Adjacent repeats of pi are merged and blanks are removed. This is best-path decoding: it finds the most probable
    *path*, which is not always the most probable label sequence, because that sums over many paths. Among equal scores
    in a frame the lower class wins.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities. This changes
            the scores of the result, not its labels.

    Returns:
        One `Greedy` per row: labels, first and last frame of each label, and log-probabilities in nats, as NumPy
        arrays.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: `blank` is not a class.
        LengthError: a length is negative or larger than the time axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_greedy
        >>> frames = [0, 2, 2, 0, 2, 1]
        >>> decoded = ctc_greedy(9.0 * np.eye(3)[None, frames])[0]
        >>> decoded.labels.tolist(), decoded.first.tolist(), decoded.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section
            3.2.
    """
    values, kind = logits_to_numpy(logits)
    return decode_rows(values, logit_lengths, blank, normalize=normalize, rounding=log_softmax_rounding(kind.name))


def decode_rows(
    values: np.ndarray, logit_lengths: IntegerArray | None, blank: int, *, normalize: bool, rounding: float
) -> list[Greedy]:
    """Decode scores in float32 or float64.

    Args:
        values, logit_lengths, blank, normalize: see `ctc_greedy`.
        rounding: of the type that the scores came in, see `contract.check_normalized`.
    """
    rows = values.shape[0] if values.ndim == 3 else 0
    no_labels = np.zeros((rows, 0), np.int64)
    batch = check_call(
        values, no_labels, logit_lengths, None, blank=blank, normalize=normalize, validate=True, rounding=rounding
    )
    return [
        _decode_row(row[:frames].astype(np.float64), batch.blank, normalize)
        for row, frames in zip(values, batch.logit_lengths, strict=True)
    ]


def _decode_row(row: np.ndarray, blank: int, normalize: bool) -> Greedy:
    """Decode the logits of one row, (frames, classes)."""
    if not row.size:
        return _merge_repeats(np.zeros(0, np.int64), np.zeros(0), blank)
    classes = row.argmax(axis=1)
    best = row.max(axis=1)
    if not np.isfinite(best).all():
        none = np.zeros(0, np.int64)
        return Greedy(none, none, none, np.zeros(0), float("nan"))
    if normalize:
        with np.errstate(under="ignore"):
            best = -np.log(np.exp(row - best[:, None]).sum(axis=1))
    return _merge_repeats(classes, best, blank)


def _merge_repeats(classes: np.ndarray, log_probs: np.ndarray, blank: int) -> Greedy:
    """Merge adjacent repeats, then remove the blanks."""
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    ends = np.append(starts[1:], classes.size) - 1 if starts.size else starts
    kept = classes[starts] != blank
    first, last = starts[kept], ends[kept]
    sums = np.append(0.0, np.cumsum(log_probs))
    return Greedy(classes[first], first, last, sums[last + 1] - sums[first], float(log_probs.sum()))
