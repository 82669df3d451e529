"""From checked arguments to each row's loss and gradient: the CPU's path behind every door."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.cpu import loss_and_grad
from seqloss.kernels.ctc import Path


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
    still: np.ndarray


def compute(
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
    """Losses and gradients, times `weights`, of a batch: see `seqloss.kernels.cpu.loss_and_grad`.

    Raises:
        InfeasibleError: infeasible="raise", and no path fits.
    """
    losses, paths, found = loss_and_grad(
        values, batch, normalize=normalize, softmax=softmax, gradient=gradient, out=out, weights=weights
    )
    unfit = paths == Path.INFEASIBLE
    if infeasible == "raise" and unfit.any():
        raise contract.infeasible_row(int(np.argmax(unfit)), batch)
    if infeasible == "zero":
        losses[unfit] = 0.0
    unused = np.arange(values.shape[1]) >= batch.logit_lengths[:, None]  # (batch, time)
    return Rows(losses, found, unused | unfit[:, None])
