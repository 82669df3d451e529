"""The explicit check of a batch of tensors."""

from __future__ import annotations

import torch

from seqloss.numpy import Report
from seqloss.numpy.ctc.check import find_bad_rows
from seqloss.torch.arrays import IntegerArray, log_softmax_rounding, read_host_arguments
from seqloss.torch.tracing import untraced


@untraced
def ctc_check(
    logits: torch.Tensor,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Find the rows of a batch that cannot be trained on, with the reason for each.

    `ctc_loss` raises for the first invalid row only, or returns inf or NaN without a reason. This function checks all
    rows and gives the reason for each.

    On a GPU, where `ctc_loss` does not check values, this function gives the reason for a NaN. It copies the tensors to
    the host.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64, any strides, any device.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: `blank` is not a class.
        LengthError: the target lengths of concatenated targets do not add up to the number of labels.
        RuntimeError: the numbers of a tensor cannot be read: the call is inside a torch.func transform or is recorded
            by torch.jit.trace, torch.export or make_fx, or a tensor is nested.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_check
        >>> report = ctc_check(torch.zeros(3, 2, 4), torch.tensor([[1, 2], [1, 1], [3, 4]]))
        >>> report.counts
        {'infeasible': 1, 'label': 1}
        >>> report.findings[0].cause[:64]
        'row 1: no path fits: 2 labels with 1 adjacent repeats need 3 fra'
    """
    values, batch = read_host_arguments(
        "ctc_check", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=False
    )
    return find_bad_rows(values, batch, normalize, log_softmax_rounding(logits.dtype))
