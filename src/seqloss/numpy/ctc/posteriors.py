"""Where in time each class stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.numpy.arrays import checked, rounding, scores
from seqloss.numpy.ctc.rows import compute


def ctc_posteriors(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> np.ndarray:
    """See where in time a target stands in a network's output: the probability, given it, of each class in each frame.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Args: as `ctc_loss`.

    Returns:
        (batch, time, classes), float32, or float64 for float64 logits. A frame in use adds up to 1, or is NaN where its
        row holds a NaN or +inf; a row that no path fits, and frames past a row's length, are all 0.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_posteriors
        >>> ctc_posteriors(np.zeros((1, 2, 2)), [[1]]).round(3).tolist()  # three paths: 11, 01, 10
        [[[0.333, 0.667], [0.333, 0.667]]]

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4.
    """
    contract.check_options(infeasible, "none", None)
    values, kind = scores(logits)
    batch = checked(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=rounding(kind.name),
    )  # fmt: skip
    rows = compute(values, batch, normalize=normalize, softmax=False, infeasible=infeasible)
    assert rows.gradient is not None
    return np.abs(rows.gradient)  # minus the posterior, and no -0.0
