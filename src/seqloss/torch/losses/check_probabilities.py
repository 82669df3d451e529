"""The explicit check of probabilities in a tensor."""

from __future__ import annotations

import torch

from seqloss.numpy import Report
from seqloss.numpy.losses.check_probabilities import find_bad_rows
from seqloss.torch.arrays import log_softmax_rounding, tensor_to_numpy
from seqloss.torch.losses.floats import read_floats
from seqloss.torch.tracing import refuse_tracing, untraced


@untraced
def check_probabilities(x: torch.Tensor, axis: int = -1) -> Report:
    """Find the rows that are no probabilities, with the likely cause for each.

    A row is all entries along the axis of the classes. It is valid if they are from 0 to 1 and add up to 1, within 0.01
    (a softmax in bfloat16 is off by 0.004). Otherwise it is one of

        "log-probabilities"    no entry is above 0, and their exponentials add up to 1
        "scores"               other entries outside [0, 1]: raw scores, before softmax
        "axis"                 entries in [0, 1] that add up to 1 along another axis, in the whole array
        "normalization"        entries in [0, 1] with another sum
        "non-finite"           NaN or +inf

    Losses that take probabilities raise an error for the first such row only, and return NaN for it where they cannot
    see values. This function reports all rows and raises nothing for values.

    It copies the tensor to the host.

    Args:
        x: what should be probabilities, any shape with at least one axis, float16, bfloat16, float32 or float64, on any
            device.
        axis: the axis of the classes; a negative one counts from the last.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row. Rows are counted over all other axes; the cause names the position.

    Raises:
        ShapeError: x has no axis, or no classes.
        DTypeError: x has an unsupported element type.
        OptionError: `axis` is no axis of x.
        RuntimeError: a tracer records the program, or the values are out of reach inside torch.func's transforms.

    Example:
        >>> import torch
        >>> from seqloss.torch import check_probabilities
        >>> check_probabilities(torch.tensor([[0.5, 0.5], [2.0, -1.0]])).counts
        {'scores': 1}
    """
    values = read_floats("x", x)
    refuse_tracing("check_probabilities", values)
    return find_bad_rows(tensor_to_numpy(values.detach().cpu()), axis, log_softmax_rounding(x.dtype))
