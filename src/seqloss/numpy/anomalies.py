"""Anomaly scores from the errors of a reconstruction or prediction, and the threshold above which a score counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan
from numbers import Real
from typing import NamedTuple, SupportsFloat

import numpy as np

from seqloss import contract
from seqloss.errors import DTypeError, OptionError, ShapeError, wrong_rank
from seqloss.numpy.scores import as_booleans, check_finite, read_kinds, read_scores

FLOOR = 1e-12
"""Variances along the axes of the errors are at least this share of the largest one."""


@dataclass(frozen=True)
class ErrorDistribution:
    """The normal distribution of the errors of normal points; how unlikely an error is under it scores anomalies.

        score(e) = (e - mean)^T covariance^-1 (e - mean),    e = |x - x'|

    the square of the Mahalanobis distance. For errors from this distribution its mean is the number of features.

    Attributes:
        mean: (features,).
        covariance: (features, features).

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ErrorDistribution
        >>> normal = np.abs(np.random.default_rng(0).normal(size=(500, 2)))
        >>> found = ErrorDistribution.fit(normal)
        >>> scores = found.score([[0.8, 0.8], [6.0, 0.1]])
        >>> bool(scores[0] < 1), bool(scores[1] > 50)
        (True, True)

    References:
        P. Malhotra et al., "LSTM-based encoder-decoder for multi-sensor anomaly detection", arXiv 1607.00148, 2016.
    """

    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def fit(cls, errors: object) -> ErrorDistribution:
        """The maximum likelihood estimate from errors of normal points that were not trained.

        Args:
            errors: (..., features), such as (windows, steps, features).

        Raises:
            ShapeError: there are fewer points than features + 1.
            DTypeError: errors that are no finite numbers.
        """
        points = _read_errors(errors)
        points = points.reshape(-1, points.shape[-1])
        if len(points) <= points.shape[1]:
            raise ShapeError(
                f"errors: found {len(points)} points of {points.shape[1]} features, expected at least "
                f"{points.shape[1] + 1}; hold out more normal data."
            )
        mean = points.mean(0)
        return cls(mean, (points - mean).T @ (points - mean) / len(points))

    def score(self, errors: object) -> np.ndarray:
        """The score of each point.

        A direction in which the normal errors hardly vary counts as if its variance were 1e-12 of the largest one, so
        that features which repeat another one do no harm.

        Args:
            errors: (..., features).

        Returns:
            Scores (...), float64, at least 0.

        Raises:
            ShapeError: the errors have another number of features.
            DTypeError: errors that are no finite numbers.
        """
        points = _read_errors(errors)
        if points.shape[-1] != len(self.mean):
            raise wrong_rank("errors", points.shape, f"(..., {len(self.mean)})")
        variances, axes = np.linalg.eigh(self.covariance)
        least = max(FLOOR * variances[-1], np.finfo(np.float64).tiny)
        found: np.ndarray = (((points - self.mean) @ axes) ** 2 / np.maximum(variances, least)).sum(-1)
        return found


class Detection(NamedTuple):
    """How well a threshold finds anomalies.

    Attributes:
        precision: share of anomalies among what was called one; NaN where nothing was.
        recall: share of the anomalies that were called one; NaN without anomalies.
        f_beta: of the two, see `measure_detection`; 0 where no anomaly was called one, and NaN without anomalies where
            nothing was called one.

    Example:
        >>> from seqloss.numpy import measure_detection
        >>> found = measure_detection([1.0, 5.0, 7.0], [False, True, True], 6.0)
        >>> found.precision, found.recall
        (1.0, 0.5)
    """

    precision: float
    recall: float
    f_beta: float


def measure_detection(scores: object, anomalous: object, threshold: float, *, beta: float = 1.0) -> Detection:
    """Precision, recall and F-beta of calling every score above the threshold anomalous.

        F = (1 + beta^2) hits / (beta^2 anomalies + called)

    with the number of anomalies, of scores that were called one, and of hits, which are both. Where precision and
    recall exist and are not both 0, this is (1 + beta^2) precision recall / (beta^2 precision + recall).

    Args:
        scores: numbers (n,), all finite.
        anomalous: (n,), True for the anomalies; booleans, or 0 and 1. Of scikit-learn's codes, -1 for an anomaly, give
            codes == -1.
        threshold: a score above it is called an anomaly.
        beta: below 1, precision weighs more than recall; above 1, less. A positive, finite number.

    Returns:
        `Detection(precision, recall, f_beta)`.

    Raises:
        ShapeError: the scores have another rank, or `anomalous` another shape.
        DTypeError: `scores` are no numbers, or `anomalous` is neither boolean nor integers.
        LabelError: an entry of `anomalous` is neither 0 nor 1.
        OptionError: beta is no positive, finite number, or the threshold is NaN, or no number.
        SeqLossError: a score is not finite.

    Example:
        >>> from seqloss.numpy import measure_detection
        >>> measure_detection([1.0, 5.0, 7.0, 9.0], [False, False, True, True], 4.0)
        Detection(precision=0.6666666666666666, recall=1.0, f_beta=0.8)
    """
    values, truth = _read_scores(scores, anomalous, beta)
    if not isinstance(threshold, SupportsFloat) or np.ndim(threshold) or isnan(threshold):
        raise OptionError(f"threshold: found {threshold!r}, expected a number; take it from choose_threshold.")
    called = values > threshold
    hits = float((called & truth).sum())
    precision, recall = _divide(hits, float(called.sum())), _divide(hits, float(truth.sum()))
    weight = beta**2
    return Detection(precision, recall, _divide((1 + weight) * hits, weight * float(truth.sum()) + float(called.sum())))


def choose_threshold(scores: object, anomalous: object = None, *, beta: float = 1.0, quantile: float = 0.99) -> float:
    """The threshold of scores: with the largest F-beta where anomalies are known, else a quantile of normal scores.

    Args:
        scores: numbers (n,), all finite, of points or windows that were not trained.
        anomalous: (n,), True for the anomalies, as in `measure_detection`; None if all are normal.
        beta: as in `measure_detection`.
        quantile: share of the normal scores that stays below, where no anomalies are known.

    Returns:
        The threshold. Of several with the same F-beta, the largest; halfway between two scores, or just below the
        lowest score where it is best to call all of them anomalies.

    Raises:
        ShapeError: there are no scores, they have another rank, or `anomalous` has another shape.
        DTypeError: `scores` are no numbers, or `anomalous` is neither boolean nor integers.
        LabelError: an entry of `anomalous` is neither 0 nor 1.
        OptionError: beta is no positive, finite number, the quantile is outside of 0 to 1, or no score is anomalous.
        SeqLossError: a score is not finite.

    Example:
        >>> from seqloss.numpy import choose_threshold
        >>> choose_threshold([1.0, 5.0, 7.0, 9.0], [False, False, True, True])
        6.0
        >>> choose_threshold([1.0, 2.0, 3.0, 4.0, 5.0], quantile=0.75)
        4.0
    """
    values, truth = _read_scores(scores, anomalous, beta)
    if not len(values):
        raise ShapeError("scores: found none, expected at least one.")
    if anomalous is None:
        if not isinstance(quantile, Real) or not 0 <= quantile <= 1:
            raise OptionError(f"quantile: found {quantile!r}, expected a share from 0 to 1.")
        return float(np.quantile(values, quantile))
    if not truth.any():
        raise OptionError("anomalous: found no anomaly, expected at least one; leave it out to choose by the quantile.")
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    called, hits = np.arange(1, len(values) + 1), truth.cumsum()
    quality = (1 + beta**2) * hits / (beta**2 * truth.sum() + called)
    cuts = np.append(values[1:] < values[:-1], True)  # equal scores are on one side
    best = int(np.argmax(np.where(cuts, quality, -1.0)))
    if best + 1 < len(values):
        high, low = float(values[best]), float(values[best + 1])
        middle = high / 2 + low / 2
        return middle if middle < high else low  # between neighbouring numbers it is rounded to one of them
    return float(np.nextafter(values[best], -np.inf))


def _divide(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _read_errors(errors: object) -> np.ndarray:
    points = contract.as_array("errors", errors).astype(np.float64)
    if not points.ndim:
        raise wrong_rank("errors", points.shape, "(..., features)")
    if not np.isfinite(points).all():
        where = tuple(int(place) for place in np.argwhere(~np.isfinite(points))[0])
        raise DTypeError(f"errors{list(where)}: found {points[where]}, expected finite numbers.")
    return points


def _read_scores(scores: object, anomalous: object, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """The scores in float64, and which are those of anomalies; none if `anomalous` is None."""
    numbers = read_scores(scores, "(n,)", "One score for each point or window.")
    kinds = read_kinds("anomalous", np.zeros(numbers.shape, bool) if anomalous is None else anomalous, numbers)
    if not isinstance(beta, Real) or not isfinite(beta) or not beta > 0:
        raise OptionError(f"beta: found {beta!r}, expected a positive number.")
    values = numbers.astype(np.float64)
    check_finite(values, "look at the errors that this score is computed from")
    advice = "give True for the anomalies: codes == -1 of scikit-learn's codes, classes == name of classes"
    return values, as_booleans("anomalous", kinds, advice)
