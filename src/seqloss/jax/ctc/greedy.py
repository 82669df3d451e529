"""The most probable path, read as labels."""

from __future__ import annotations

from typing import Any

import seqloss.numpy as host
from seqloss.jax.arrays import to_numpy
from seqloss.numpy import Greedy


def ctc_greedy(logits: Any, logit_lengths: Any = None, *, blank: int = 0, normalize: bool = True) -> list[Greedy]:
    """Read a network's output in the simplest way: the best class of each frame, repeats merged, blanks dropped.

    This is the most probable *path*, not the most probable label sequence, which may be spread over many paths.

    Args:
        logits: scores (batch, time, classes), as `ctc_loss` takes them; not traced: call it outside jit.
        logit_lengths: frames in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: take the softmax, or take the scores for log-probabilities as they stand.

    Returns:
        a `Greedy` for each row; among equal scores in a frame the lower class wins.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as `ctc_loss`.
        TypeError: traced arrays.

    Example:
        >>> import jax
        >>> from seqloss.jax import ctc_greedy
        >>> read = ctc_greedy(9.0 * jax.nn.one_hot(jax.numpy.array([[0, 2, 2, 0, 2, 1]]), 3))[0]
        >>> read.labels.tolist(), read.first.tolist(), read.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])
    """
    return host.ctc_greedy(to_numpy(logits), to_numpy(logit_lengths), blank=blank, normalize=normalize)
