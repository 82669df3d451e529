"""What is done on the host: the NumPy frontend's functions on tensors of Keras' backend."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

import seqloss.numpy as host
from seqloss.contract import Infeasible
from seqloss.errors import wrong_dtype
from seqloss.numpy import Finding, Greedy, Report

__all__ = ["Finding", "Greedy", "Report", "ctc_check", "ctc_greedy", "ctc_posteriors", "to_numpy"]


def to_numpy(values: Any) -> Any:
    """A tensor as a NumPy array, bfloat16 as ml_dtypes' type; anything else as it is.

    Raises:
        DTypeError: traced or symbolic: there are no values to look at yet.
    """
    if not ops.is_tensor(values):
        return values
    try:
        return ops.convert_to_numpy(values)
    except (AttributeError, NotImplementedError, TypeError):
        hint = "a tensor with values: call this outside of `fit` and of compiled functions"
        raise wrong_dtype("a traced argument", type(values).__name__, hint) from None


def ctc_check(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Look at a batch before you train on it: every row that `ctc_loss` would refuse, or answer with inf or NaN.

    Works on any device, outside of `fit` and of compiled functions.

    Args: as `ctc_loss`.

    Returns:
        a `Report` with the rows, their number by kind, and the cause of each.

    Raises:
        ShapeError, DTypeError: an argument's form, which is no single row's fault; LabelError for the blank itself.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_check
        >>> report = ctc_check(np.zeros((3, 2, 4), "float32"), [[1, 2], [1, 1], [3, 4]])
        >>> report.counts
        {'infeasible': 1, 'label': 1}
    """
    args = map(to_numpy, (logits, targets, logit_lengths, target_lengths))
    return host.ctc_check(*args, blank=blank, normalize=normalize)


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
) -> Any:
    """See where in time a target stands in a network's output: the probability, given it, of each class in each frame.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Args: as `ctc_loss`, with values (not in `fit`, not in a compiled function).

    Returns:
        a tensor of the backend (batch, time, classes), float32, or float64 for float64 logits, without a gradient. A
        frame in use adds up to 1, or is NaN where its row holds a NaN or +inf; a row that no path fits, and frames past
        a row's length, are all 0.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from keras import ops
        >>> from seqloss.keras import ctc_posteriors
        >>> found = ctc_posteriors(np.zeros((1, 2, 2), "float32"), [[1]])
        >>> ops.convert_to_numpy(found).round(3).tolist()  # three paths: 11, 01, 10
        [[[0.3330000042915344, 0.6669999957084656], [0.3330000042915344, 0.6669999957084656]]]

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4.
    """
    found: np.ndarray = host.ctc_posteriors(
        *map(to_numpy, (logits, targets, logit_lengths, target_lengths)),
        blank=blank,
        normalize=normalize,
        infeasible=infeasible,
        validate=validate,
    )
    return ops.convert_to_tensor(found)


def ctc_greedy(logits: Any, logit_lengths: Any = None, *, blank: int = 0, normalize: bool = True) -> list[Greedy]:
    """Read a network's output in the simplest way: the best class of each frame, repeats merged, blanks dropped.

    This is the most probable *path*, not the most probable label sequence, which may be spread over many
    paths.

    Args:
        logits: scores (batch, time, classes), as `ctc_loss` takes them; what `model.predict` returns.
        logit_lengths: frames in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: take the softmax, or take the scores for log-probabilities as they stand.

    Returns:
        a `Greedy` for each row; among equal scores in a frame the lower class wins.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as `ctc_loss`.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_greedy
        >>> frames = [0, 2, 2, 0, 2, 1]
        >>> read = ctc_greedy(9.0 * np.eye(3, dtype="float32")[None, frames])[0]
        >>> read.labels.tolist(), read.first.tolist(), read.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])
    """
    return host.ctc_greedy(to_numpy(logits), to_numpy(logit_lengths), blank=blank, normalize=normalize)
