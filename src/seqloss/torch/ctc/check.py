"""The explicit look at a batch: which rows cannot be trained on, and why."""

from __future__ import annotations

from typing import Any

import torch

from seqloss.numpy import Report
from seqloss.numpy.ctc.check import look
from seqloss.torch.arrays import checked, rounding
from seqloss.torch.tracing import untraced


@untraced
def ctc_check(
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Look at a batch before you train on it: every row that `ctc_loss` would refuse, or answer with inf or NaN.

    Args: as `ctc_loss`.

    Returns:
        a `Report` with the rows, their number by kind, and the cause of each.

    Raises:
        ShapeError, DTypeError: an argument's form, which is no single row's fault; LabelError for the blank itself;
        LengthError for concatenated targets whose lengths do not add up.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_check
        >>> report = ctc_check(torch.zeros(3, 2, 4), torch.tensor([[1, 2], [1, 1], [3, 4]]))
        >>> report.counts
        {'infeasible': 1, 'label': 1}
        >>> report.findings[0].cause[:64]
        'row 1: no path fits: 2 labels with 1 adjacent repeats need 3 fra'
    """
    values, batch = checked(
        "ctc_check", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=False
    )
    return look(values, batch, normalize, rounding(logits.dtype))
