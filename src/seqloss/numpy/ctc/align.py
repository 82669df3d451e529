"""Which frames show which label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.ctc.batch import best_paths
from seqloss.kernels.ctc.rows import Path
from seqloss.numpy.arrays import checked, rounding, scores


@dataclass(frozen=True)
class Alignment:
    """The best path of each row; what lies past a row's lengths, or has no path, is -1 (scores: 0).

    Attributes:
        classes: (batch, time) int64, the class of each frame.
        first: (batch, labels) int64, each label's first frame.
        last: (batch, labels) int64, each label's last frame.
        scores: (batch, labels), log probability of each label's frames, nats.
        total: (batch,), log probability of the path; -inf without one, NaN in a non-finite row.
    """

    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray
    total: np.ndarray


def ctc_align(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> Alignment:
    """Find which frames show which label: the most probable path that reads as the target.

        argmax_{π: collapse(π) = target} Σ_t log p_t(π_t)

    Among equally probable paths the one whose label starts are lexicographically earliest, then whose spans are
    shortest, label by label; equal means equal in float64.

    Args: as `ctc_loss`; `infeasible="zero"` gives a total of 0 where "inf" gives -inf.

    Returns:
        the `Alignment`; scores are float32, or float64 for float64 logits.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_align
        >>> best = ctc_align(np.zeros((1, 4, 3)), [[1, 2]])
        >>> best.classes.tolist(), best.first.tolist(), best.last.tolist()
        ([[1, 2, 0, 0]], [[0, 1]], [[0, 1]])

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4, with maxima in place of sums.
    """
    contract.check_options(infeasible, "none", None)
    values, kind = scores(logits)
    batch = checked(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=rounding(kind.name),
    )  # fmt: skip
    return aligned(values, batch, normalize=normalize, infeasible=infeasible)


def aligned(values: np.ndarray, batch: Batch, *, normalize: bool, infeasible: Infeasible) -> Alignment:
    """From checked arguments."""
    found = best_paths(values, batch, normalize=normalize)
    infeasible_rows = found.paths == Path.INFEASIBLE
    if infeasible == "raise" and infeasible_rows.any():
        raise contract.infeasible_row(int(np.argmax(infeasible_rows)), batch)
    totals = np.where(infeasible_rows & (infeasible == "zero"), 0.0, found.totals)
    return Alignment(
        found.classes, found.first, found.last, found.scores.astype(values.dtype), totals.astype(values.dtype)
    )
