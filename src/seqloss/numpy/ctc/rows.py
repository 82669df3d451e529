"""Losses and gradients of a checked batch on the CPU; every frontend calls this."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.rows import Path


@dataclass(frozen=True)
class Rows:
    """Losses and gradients of a batch.

    Attributes:
        losses: (batch,), in the type of the logits.
        gradient: of each row's own loss, (batch, time, classes), or None.
        zero_gradient: bool (batch, time), True where the gradient is 0 for any upstream gradient: in frames past
            the length of a row, and in rows without a path.
    """

    losses: np.ndarray
    gradient: np.ndarray | None
    zero_gradient: np.ndarray


def compute_rows(
    values: np.ndarray,
    batch: Batch,
    *,
    normalize: bool = True,
    softmax: bool | None = None,
    infeasible: Infeasible = "inf",
    gradient: bool = True,
    out: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Rows:
    """Compute losses, and gradients times `weights`, of a batch.

    Args: see `seqloss.kernels.ctc.batch.loss_and_grad`.

    Raises:
        InfeasibleError: infeasible="raise", and a row has no path.
    """
    losses, paths, found = loss_and_grad(
        values, batch, normalize=normalize, softmax=softmax, gradient=gradient, out=out, weights=weights
    )
    infeasible_rows = paths == Path.INFEASIBLE
    if infeasible == "raise" and infeasible_rows.any():
        raise contract.infeasible_row(int(np.argmax(infeasible_rows)), batch)
    if infeasible == "zero":
        losses[infeasible_rows] = 0.0
    unused = np.arange(values.shape[1]) >= batch.logit_lengths[:, None]  # (batch, time)
    return Rows(losses, found, unused | infeasible_rows[:, None])
