"""Labels and lengths in one array, because `fit` takes one `y_true`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqloss import contract


def pack(targets: Any, target_lengths: Any = None, logit_lengths: Any = None) -> np.ndarray:
    """Make a `y_true` that brings its lengths along, for `CTC(target_lengths="packed")`.

    Args:
        targets: integers (batch, labels); or one sequence of labels for each row, of any lengths.
        target_lengths: integers (batch,); None for all of each row.
        logit_lengths: frames in use, integers (batch,), for `CTC(..., logit_lengths="packed")`.

    Returns:
        int64 (batch, 1 + labels): the target's length, then the labels; with `logit_lengths` (batch, 2 + labels): the
        target's length, the frames, the labels.

    Raises:
        ShapeError, DTypeError: lengths that do not go with the targets. Their values are checked by the loss.

    Example:
        >>> from seqloss.keras import pack
        >>> pack([[3, 1, 2], [4]], logit_lengths=[20, 17]).tolist()
        [[3, 20, 3, 1, 2], [1, 17, 4, 0, 0]]
    """
    if isinstance(targets, Sequence) and target_lengths is None:
        target_lengths = np.array([len(row) for row in targets], np.int64)
        targets = np.array([label for row in targets for label in row] or np.zeros(0, np.int64))
    batch = np.shape(targets)[0] if target_lengths is None else np.size(target_lengths)
    found = contract.validate((batch, 0, 1), targets, logit_lengths, target_lengths, values=False)
    lengths = [found.target_lengths] if logit_lengths is None else [found.target_lengths, found.logit_lengths]
    return np.column_stack([*lengths, found.targets])
