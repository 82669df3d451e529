"""From checked arguments to each row's loss and gradient: the CPU's path behind every frontend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.rows import Path


@dataclass(frozen=True)
class Rows:
    """What a kernel found, with the contract's answer for rows that no path fits.

    Attributes:
        losses: (batch,), of the scores' type.
        gradient: of each row's own loss, as the scores, or None.
        still: bool (batch, time), where the gradient is 0 whatever comes from upstream: frames past a row's length, and
            rows that no path fits.
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
    """Losses and gradients, times `weights`, of a batch: see `seqloss.kernels.ctc.batch.loss_and_grad`.

    Raises:
        InfeasibleError: infeasible="raise", and no path fits.
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
