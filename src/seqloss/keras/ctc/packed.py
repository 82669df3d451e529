"""Labels and lengths in one array, because `fit` accepts one `y_true`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.keras.arrays import IntegerArray

NAMES = contract.WordReplacements(
    (
        ("one for each row of logits", "one for each row of targets"),
        ("; logits are batch first: (batch, time, classes)", ""),
    )
)
"""There are no logits."""


def pack(
    targets: IntegerArray | Sequence[npt.NDArray[np.integer]],
    target_lengths: IntegerArray | None = None,
    logit_lengths: IntegerArray | None = None,
) -> npt.NDArray[np.int64]:
    """Put labels and their lengths into one `y_true`, for `CTC(target_lengths="packed")` in `fit`.

        y_true[n] = [target length, (number of frames,) labels...]

    Args:
        targets: labels, integers, shape (batch, labels); or one sequence of labels for each row, of any lengths; or the
            labels of all rows concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels of each row.
        logit_lengths: number of frames in use of each row, integers, shape (batch,), for `CTC(...,
            logit_lengths="packed")`; None to leave this column out.

    Returns:
        An int64 array, shape (batch, 1 + labels): the target length, then the labels. With `logit_lengths`, shape
        (batch, 2 + labels): the target length, the number of frames, then the labels.

    Raises:
        ShapeError: the lengths do not have one entry for each row, or concatenated targets come without
            `target_lengths`.
        DTypeError: labels or lengths are not integers.
        LengthError: the lengths of concatenated targets do not add up. All other values are checked by the loss.

    Example:
        >>> from seqloss.keras import pack
        >>> pack([[3, 1, 2], [4]], logit_lengths=[20, 17]).tolist()
        [[3, 20, 3, 1, 2], [1, 17, 4, 0, 0]]
    """
    if isinstance(targets, Sequence) and target_lengths is None and all(hasattr(row, "__len__") for row in targets):
        rows = cast("Sequence[Sequence[int]]", targets)
        target_lengths = np.array([len(row) for row in rows], np.int64)
        targets = np.array([label for row in rows for label in row] or np.zeros(0, np.int64))
    with contract.rename_arguments(NAMES):
        labels = contract.as_integer_array("targets", targets, "target_lengths")
        concatenated = labels.ndim == 1 and target_lengths is not None
        batch = np.asarray(target_lengths).size if concatenated else len(labels) if labels.ndim else 0
        found = contract.validate((batch, 0, 1), labels, logit_lengths, target_lengths, values=False)
    lengths = [found.target_lengths] if logit_lengths is None else [found.target_lengths, found.logit_lengths]
    return np.column_stack([*lengths, found.targets])
