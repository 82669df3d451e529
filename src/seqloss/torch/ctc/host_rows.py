"""Losses and gradients of a batch of tensors by the CPU kernel, without autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from seqloss import contract, errors
from seqloss.contract import Batch
from seqloss.kernels.ctc.batch import add_exponentials
from seqloss.kernels.ctc.second_derivative import EXP, SOFTMAX
from seqloss.numpy.ctc import rows as host
from seqloss.numpy.ctc.rows import Rows
from seqloss.torch.arrays import IntegerArray, integers_to_numpy, log_softmax_rounding, read_host_arguments
from seqloss.torch.ctc.row_tensors import Options, RowTensors


@dataclass(frozen=True)
class HostRows:
    """What the CPU kernel has computed.

    Attributes:
        rows: losses, without weights; gradient, times the weights.
        batch: the checked arguments.
        weights: (batch,), the weight of each row in the reduction; None for 1.
    """

    rows: Rows
    batch: Batch
    weights: np.ndarray | None

    def without_gradient(self) -> HostRows:
        return HostRows(Rows(self.rows.losses, None, self.rows.zero_gradient), self.batch, self.weights)

    def tensors(self, device: torch.device) -> RowTensors:
        losses, gradient = self.rows.losses, self.rows.gradient
        factor = (~self.rows.zero_gradient).astype(losses.dtype)
        if self.weights is not None:
            with np.errstate(all="ignore"):  # an infinite loss, a weight of 0
                losses, factor = losses * self.weights, factor * self.weights[:, None]
        integers = np.column_stack([self.batch.logit_lengths, self.batch.target_lengths, self.batch.targets])
        gradient = losses[:0] if gradient is None else gradient
        return RowTensors(*(torch.from_numpy(array).to(device) for array in (losses, gradient, factor, integers)))


def compute_host_rows(
    logits: torch.Tensor, targets: IntegerArray, logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None, options: Options, weights: np.ndarray | None = None, *, gradient: bool = True,
    out: np.ndarray | None = None,
) -> HostRows:  # fmt: skip
    """Losses, and with `gradient` gradients, by the CPU kernel; the arguments are checked."""
    _check_concatenated(targets, target_lengths, options.groups)
    exp = options.gradient == EXP
    values, batch = read_host_arguments(
        options.name, logits, targets, logit_lengths, target_lengths, blank=options.blank,
        normalize=options.normalize or exp,  # the scores of CTCLoss need not be log-probabilities
        validate=options.validate,
    )  # fmt: skip
    if gradient:  # derivatives are computed later, when the caller may have changed its arrays
        batch = batch.copy()
    weights = _weights(batch, options, values.dtype) if weights is None else weights.astype(values.dtype)
    rows = host.compute_rows(
        values, batch, normalize=options.normalize, softmax=options.gradient == SOFTMAX,
        infeasible=options.infeasible, gradient=gradient, out=out, weights=None if exp else weights,
    )  # fmt: skip
    if exp and options.validate:
        contract.refuse_probabilities(values, batch.logit_lengths, rows.losses, log_softmax_rounding(logits.dtype))
    if exp and gradient:
        assert rows.gradient is not None
        frames = (~rows.zero_gradient).sum(axis=1)  # those in use come first
        add_exponentials(values, batch, rows.gradient, frames, weights)
    return HostRows(rows, batch, weights)


def _check_concatenated(targets: Any, target_lengths: Any, groups: int) -> None:
    """Under vmap each batch has its own concatenated targets: no label may move from one batch to the next.

    Raises:
        LengthError: the lengths of a batch do not add up to its labels.
    """
    if groups == 1 or np.ndim(targets) != 1 or target_lengths is None:
        return
    labels = len(targets) // groups
    for counts in np.split(np.asarray(integers_to_numpy(target_lengths)), groups):
        if counts.sum() != labels:
            raise errors.uneven_concatenation(int(counts.sum()), labels)


def _weights(batch: Batch, options: Options, kind: np.dtype) -> np.ndarray | None:
    """The weight of each row in the reduction of its own batch; None for 1."""
    if options.reduction == "none":
        return None
    if options.groups <= 1:
        return contract.reduction_weights(options.reduction, batch.target_lengths, options.denominator).astype(kind)
    weights = [
        contract.reduction_weights(options.reduction, lengths, options.denominator)
        for lengths in np.split(batch.target_lengths, options.groups)
    ]
    return np.concatenate(weights).astype(kind)
