"""The explicit look at a batch: which rows cannot be trained on, and why."""

from __future__ import annotations

from typing import Any

import torch

from seqloss import contract
from seqloss.numpy import Report
from seqloss.numpy.ctc.check import find_bad_rows
from seqloss.torch.arrays import integers_to_numpy, log_softmax_rounding, logits_to_numpy
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
    values = logits_to_numpy(logits, "ctc_check")
    lengths = integers_to_numpy(logit_lengths), integers_to_numpy(target_lengths)
    batch = contract.validate(values.shape, integers_to_numpy(targets), *lengths, blank=blank, values=False)
    return find_bad_rows(values, batch, normalize, log_softmax_rounding(logits.dtype))
