"""The explicit check of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.errors import OptionError, wrong_rank
from seqloss.numpy.arrays import log_softmax_rounding
from seqloss.numpy.findings import Finding, Report
from seqloss.numpy.losses.floats import read_floats

Probabilities: TypeAlias = npt.NDArray[np.generic] | Sequence[float] | Sequence[Sequence[float]]
"""An array with any number of axes, or nested lists."""


def check_probabilities(x: Probabilities, axis: int = -1) -> Report:
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

    Args:
        x: what should be probabilities, any shape with at least one axis, float16, bfloat16 (of ml_dtypes), float32 or
            float64.
        axis: the axis of the classes; a negative one counts from the last.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row. Rows are counted over all other axes; the cause names the position.

    Raises:
        ShapeError: x has no axis, no classes, or its rows have uneven lengths.
        DTypeError: x has an unsupported element type, or is a masked array.
        OptionError: `axis` is no axis of x.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import check_probabilities
        >>> report = check_probabilities(np.array([[0.5, 0.5], [2.0, -1.0], np.log([0.5, 0.5])]))
        >>> report.counts
        {'scores': 1, 'log-probabilities': 1}
        >>> report.findings[0].cause[-68:]
        'found 2; raw scores are the likely cause: apply softmax over axis 1.'
    """
    values, kind = read_floats("x", x)
    return find_bad_rows(values, axis, log_softmax_rounding(kind.name))


def find_bad_rows(values: np.ndarray, axis: int, rounding: float) -> Report:
    """Check an array of float32 or float64; used by all frontends.

    Args:
        values: any shape with at least one axis.
        axis: see `check_probabilities`.
        rounding: of the original type, see `contract.check_normalized`.
    """
    axis = _counted_from_0(axis, values.ndim)
    if not values.shape[axis]:
        raise wrong_rank("x", values.shape, "(..., classes)", f"There are no classes along axis {axis}.")
    found = contract.bad_probability_rows("x", values, axis, rounding)
    return Report(values.size // values.shape[axis], tuple(Finding(bad.row, bad.kind, bad.cause) for bad in found))


def _counted_from_0(axis: int, axes: int) -> int:
    if axes == 0:
        raise wrong_rank("x", (), "(..., classes)", "A number alone is no row.")
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -axes <= axis < axes:
        raise OptionError(f"axis: found {axis!r}, expected {-axes} to {axes - 1} for an array of {axes} axes.")
    return int(axis) % axes
