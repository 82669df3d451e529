"""The explicit look at a batch."""

from __future__ import annotations

from typing import Any

import seqloss.numpy as host
from seqloss.jax.arrays import to_numpy
from seqloss.numpy import Report


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

    On an accelerator, where `ctc_loss` never waits, this is the way to hear why a row is NaN: it fetches the arrays.

    Args: as `ctc_loss`; not traced: call it outside jit.

    Returns:
        a `Report` with the rows, their number by kind, and the cause of each.

    Raises:
        ShapeError, DTypeError: an argument's form; LabelError for the blank itself.
        TypeError: traced arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import ctc_check
        >>> report = ctc_check(jnp.zeros((2, 2, 4)), jnp.array([[1, 2], [1, 1]]))
        >>> report.counts
        {'infeasible': 1}
    """
    return host.ctc_check(
        *map(to_numpy, (logits, targets, logit_lengths, target_lengths)), blank=blank, normalize=normalize
    )
