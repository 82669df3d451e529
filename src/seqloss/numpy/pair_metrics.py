"""How well a score tells pairs of the same class from pairs of different ones.

A pair is taken for the same if its score is at least a threshold. Pairs of equal scores are accepted together, so that
only the cuts between distinct scores are looked at, and the one above the largest score.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, SupportsFloat, TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss.errors import LabelError, OptionError, ShapeError
from seqloss.numpy.scores import as_booleans, check_finite, read_kinds, read_scores

Scores: TypeAlias = npt.NDArray[np.generic] | Sequence[float]
"""One number for each pair (pairs,); larger for pairs that are more alike."""

Same: TypeAlias = npt.NDArray[np.bool_] | npt.NDArray[np.integer] | Sequence[bool] | Sequence[int]
"""For each pair, whether its rows are the same (pairs,): booleans, or 0 and 1."""


def pair_threshold(scores: Scores, same: Same) -> float:
    """Choose the threshold of the best pair accuracy, on validation data.

    A pair is taken for the same if its score is at least the threshold. The threshold lies in the middle between two
    neighbouring scores. Below the smallest score there is none, and the threshold is that score, which accepts all
    pairs; above the largest it is the next number, which accepts none. Among equally good cuts it is the lowest.

    Args:
        scores: one number for each pair, larger for pairs that are more alike, shape (pairs,); give minus a distance.
        same: whether the two rows of a pair are the same, shape (pairs,), booleans or 0 and 1.

    Returns:
        The threshold, for `pair_accuracy` on data that it was not chosen on.

    Raises:
        ShapeError: an argument has the wrong rank or size, or there is no pair.
        DTypeError: `scores` are no numbers, or `same` is neither boolean nor integers; or a masked array is given.
        LabelError: all pairs are the same, or all are different, or an entry of `same` is neither 0 nor 1.
        SeqLossError: a score is not finite.

    Example:
        >>> from seqloss.numpy import pair_threshold
        >>> pair_threshold([0.9, 0.8, 0.3, 0.1], [True, True, False, False])
        0.55
    """
    cuts = _Cuts(scores, same)
    right = cuts.accepted_same + (cuts.different - cuts.accepted_different)
    best = int(np.argmax(right[::-1]))  # cuts from low to high
    values = cuts.values[::-1]
    if best == 0:
        return float(values[0])
    if best == values.shape[0]:
        return float(np.nextafter(values[-1], np.inf))
    low, high = values[best - 1], values[best]
    middle = low + (high - low) / 2
    return float(middle if low < middle <= high else high)


def pair_accuracy(scores: Scores, same: Same, threshold: float) -> float:
    """Measure the share of pairs that a threshold decides rightly.

        accuracy = mean((scores >= threshold) == same)

    Args:
        scores: one number for each pair, larger for pairs that are more alike, shape (pairs,); give minus a distance.
        same: whether the two rows of a pair are the same, shape (pairs,), booleans or 0 and 1.
        threshold: from `pair_threshold` on other data.

    Returns:
        The share, from 0 to 1. With many more pairs of one kind, a threshold that accepts all or none is right for
        most: look at `equal_error_rate` too.

    Raises:
        ShapeError: an argument has the wrong rank or size, or there is no pair.
        DTypeError: `scores` are no numbers, or `same` is neither boolean nor integers; or a masked array is given.
        LabelError: all pairs are the same, or all are different, or an entry of `same` is neither 0 nor 1.
        OptionError: the threshold is NaN, or no number.
        SeqLossError: a score is not finite.

    Example:
        >>> from seqloss.numpy import pair_accuracy
        >>> pair_accuracy([0.9, 0.6, 0.6, 0.1], [True, True, False, False], 0.55)
        0.75
    """
    if not isinstance(threshold, SupportsFloat) or isnan(threshold):
        raise OptionError(
            f"threshold: expected a number, found {threshold!r}; take it from pair_threshold on validation data."
        )
    values, truth = _read(scores, same)
    return float(np.mean((values >= threshold) == truth))


def equal_error_rate(scores: Scores, same: Same) -> float:
    """Measure the rate at which false acceptances and false rejections are equally frequent.

        FAR(t) = share of different pairs with score >= t,        FRR(t) = share of same pairs with score < t

    With the threshold t, FAR falls from 1 to 0 and FRR rises from 0 to 1, in steps. Between the two neighbouring steps
    where FAR - FRR changes its sign, both are interpolated linearly; their common value is the equal error rate. This
    is where the ROC curve, made of straight lines, meets FAR = FRR. If all scores are equal, it is 0.5.

    Args:
        scores: one number for each pair, larger for pairs that are more alike, shape (pairs,); give minus a distance.
        same: whether the two rows of a pair are the same, shape (pairs,), booleans or 0 and 1.

    Returns:
        The rate, from 0 to 1; 0.5 for scores that say nothing.

    Raises:
        ShapeError: an argument has the wrong rank or size, or there is no pair.
        DTypeError: `scores` are no numbers, or `same` is neither boolean nor integers; or a masked array is given.
        LabelError: all pairs are the same, or all are different, or an entry of `same` is neither 0 nor 1.
        SeqLossError: a score is not finite.

    Example:
        >>> from seqloss.numpy import equal_error_rate
        >>> equal_error_rate([0.9, 0.6, 0.4, 0.7, 0.2, 0.1], [1, 1, 1, 0, 0, 0])  # 1 of 3 each, at 0.6
        0.3333333333333333
    """
    cuts = _Cuts(scores, same)
    # FAR and FRR over the common denominator same * different: integers, so that equal rates are exactly equal
    accepted = cuts.accepted_different * cuts.same
    rejected = (cuts.same - cuts.accepted_same) * cuts.different
    excess = accepted - rejected  # rises with the number of accepted pairs, from below 0 to above
    after = int(np.argmax(excess >= 0))
    total = float(cuts.same) * cuts.different
    if excess[after] == 0:
        return float(accepted[after]) / total
    step = float(-excess[after - 1]) / float(excess[after] - excess[after - 1])
    return float(accepted[after - 1] + step * float(accepted[after] - accepted[after - 1])) / total


class _Cuts:
    """What is accepted at each cut between distinct scores, from none to all.

    Attributes:
        values: the distinct scores from large to small, (k,).
        accepted_same, accepted_different: the number of accepted pairs of each kind, int64 (k + 1,): entry i accepts
            the i largest distinct scores.
        same, different: the number of pairs of each kind.
    """

    def __init__(self, scores: Scores, same: Same) -> None:
        numbers, truth = _read(scores, same)
        values, kinds = np.unique(-numbers, return_inverse=True)
        size = values.shape[0]
        self.values = -values
        self.accepted_same = np.append(0, np.cumsum(np.bincount(kinds[truth], minlength=size)))
        self.accepted_different = np.append(0, np.cumsum(np.bincount(kinds[~truth], minlength=size)))
        self.same, self.different = int(self.accepted_same[-1]), int(self.accepted_different[-1])


def _read(scores: Any, same: Any) -> tuple[np.ndarray, np.ndarray]:
    """The scores in float64, and which pairs are the same."""
    numbers = read_scores(scores, "(pairs,)", "One score for each pair.")
    truth = read_kinds("same", same, numbers)
    if numbers.size == 0:
        raise ShapeError("scores: found no pair, expected pairs that are the same and pairs that are not.")
    numbers = numbers.astype(np.float64)
    check_finite(numbers, "look at the embeddings of this pair")
    return numbers, _both_kinds(as_booleans("same", truth, "compare the labels of the two rows"))


def _both_kinds(truth: np.ndarray) -> np.ndarray:
    if (truth == truth[0]).all():
        kind = "the same" if truth[0] else "different"
        raise LabelError(
            f"same: all {truth.size} pairs are {kind}, expected both kinds, because an error rate of one kind says "
            "nothing; take pairs from several labels with several rows each."
        )
    return truth
