"""Preprocessing of one row of logits: masks, non-finite values, log-softmax.

With x the scores of a frame and m their maximum,

    log y(k) = x(k) - m - log(1 + r),    r = Σ over all classes but one that attains m of exp(x(j) - m).

r is small for a confident model. log1p(r) keeps all its digits; log(Σ exp) keeps those of 1 + r only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqloss import contract, errors


def as_logits(logits: object) -> np.ndarray:
    """Convert logits to float64; wider types are unchanged, so that the arithmetic can be tested.

    Raises:
        DTypeError: they are not floating-point numbers.

    Example:
        >>> as_logits(np.zeros((1, 2, 3), np.float16)).dtype
        dtype('float64')
    """
    array = np.asarray(logits)
    if not (np.issubdtype(array.dtype, np.floating) or array.dtype.name == "bfloat16"):
        raise errors.wrong_logits_dtype(array.dtype)
    return array.astype(np.result_type(array.dtype, np.float64))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Log probabilities (time, classes) of scores (time, classes), relative to each frame's maximum.

    Example:
        A probability of 1 - 2e-22 is exact:

        >>> log_softmax(np.array([[50.0, 0.0]]))
        array([[-1.92874985e-22, -5.00000000e+01]])
    """
    relative = scores - scores.max(axis=1, keepdims=True)  # (time, classes)
    others = np.exp(relative)
    np.put_along_axis(others, relative.argmax(axis=1)[:, None], 0.0, axis=1)
    return relative - np.log1p(others.sum(axis=1, keepdims=True))


def mask_low_scores(scores: np.ndarray) -> np.ndarray:
    """Turn scores more than `contract.MASKED` below their frame's maximum into -inf.

    Example:
        >>> mask_low_scores(np.array([[0.0, -1e4, -3e38]]))
        array([[     0., -10000.,    -inf]])
    """
    with np.errstate(invalid="ignore", over="ignore"):  # -inf - -inf, and distances past the largest float
        far = scores.max(axis=1, keepdims=True) - scores > contract.MASKED
    return np.where(far, -np.inf, scores)


def row_scores(
    logits: np.ndarray, target: np.ndarray | Sequence[int], blank: int, normalize: bool
) -> np.ndarray | None:
    """The scores of a row after masking, before softmax.

    Without `normalize`, only the classes of blank and target are used; the others are -inf. If all of them are below
    -1e8, they are masked too: the largest log-probability of the frame is then another class.

    Args:
        logits: (time, classes), frames in use.
        target: labels in use.
        blank: the blank's class.
        normalize: whether softmax will be applied.

    Returns:
        scores (time, classes), or None for a row that is non-finite: NaN or +inf, or (with `normalize`) a frame
        of nothing but -inf, which has no softmax.

    Example:
        >>> row_scores(np.array([[-0.5, -1.0, np.nan]]), [1], 0, normalize=False)
        array([[-0.5, -1. , -inf]])
        >>> row_scores(np.array([[-0.5, -1.0, np.nan]]), [1], 0, normalize=True) is None
        True
    """
    scores = logits
    if not normalize:
        read = [blank, *target]
        scores = np.full_like(logits, -np.inf)
        scores[:, read] = logits[:, read]
        scores[(logits[:, read] < -contract.MASKED).all(axis=1)] = -np.inf
    if np.isnan(scores).any() or np.isposinf(scores).any():
        return None
    if normalize and np.isneginf(scores).all(axis=1).any():
        return None
    return mask_low_scores(scores)
