"""From the sum over all paths to the loss of each row, in float64, and to their reduction.

loss = -(certain + log1p(rest)) where the main path, of weight 1, spells the target and `rest` sums all other paths,
loss = -(certain + log(total))  elsewhere.

A reduction is sum(weight * loss), added in float64 by one program, so in one order. The weights also multiply the
gradient.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss import contract
from seqloss.contract import DIVISORS, Reduction
from seqloss.kernels.triton.ctc.main_path import MainPath, log1p
from seqloss.kernels.triton.ctc.residuals import has_weights
from seqloss.kernels.triton.extended_exponent import add_extended, indicator
from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.tiles import power_of_two

WITH_A_PATH, CLOSED, BROKEN = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
"""Status of a row: its loss is a number, it is infeasible, its loss is NaN."""

INF, ZERO, NAN = 0, 1, 2
"""The loss of an infeasible row; NAN gives it the status BROKEN."""

SMALLEST = tl.constexpr(contract.SMALLEST)
LN2_32 = tl.constexpr(22.18070977791825)
"""32 ln 2."""
BLOCK = 1024
"""Rows of a block."""


class Losses(NamedTuple):
    """Each row's loss.

    Attributes:
        losses: float32 (batch,), NaN in broken rows.
        status: int8 (batch,), WITH_A_PATH, CLOSED or BROKEN.
        references: int32 (batch,), the exponent of the sum over all paths.
        total: float32 (), the reduced loss; None without a reduction.
        weights: float32 (batch,), the weights of the rows in the reduction; None if they are 1.
    """

    losses: torch.Tensor
    status: torch.Tensor
    references: torch.Tensor
    total: torch.Tensor | None
    weights: torch.Tensor | None

    @property
    def result(self) -> torch.Tensor:
        """The reduced loss, or each row's without a reduction."""
        return self.losses if self.total is None else self.total


@triton.jit
def _load_label_counts(label_counts, row, there, longest):
    """The number of labels of each row, as given; negative ones count as 0."""
    count = (longest + 0 * row).to(tl.int64)
    if label_counts is not None:
        count = tl.load(label_counts + row, mask=there, other=0).to(tl.int64)
    return tl.where(there, tl.maximum(count, 0), 0)


@triton.jit
def _loss_kernel(
    ends, certain, spells, broken, label_counts, losses_out, status_out, references_out, total_out, weights_out,
    batch, longest,
    NORMALIZE: tl.constexpr, INFEASIBLE: tl.constexpr, OWN_LABELS: tl.constexpr, ROWS: tl.constexpr,
    ALL_LABELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    lane = tl.arange(0, BLOCK)
    reduced = tl.sum(tl.zeros([BLOCK], tl.float64), 0)
    all_labels = tl.sum(tl.zeros([BLOCK], tl.float64), 0)
    start = 0
    # 1. a mean over all labels needs their number first
    if ALL_LABELS:
        while start < batch:
            counted = _load_label_counts(label_counts, start + lane, start + lane < batch, longest)
            all_labels += tl.sum(counted.to(tl.float64), 0)
            start += BLOCK
        start = 0
    while start < batch:
        # 2. the sum over all paths: `rest` from the backward pass, and the main path's 1
        row = start + lane
        there = row < batch
        end = ends + row.to(tl.int64) * 4
        label = tl.load(end, mask=there, other=0).to(tl.float32, bitcast=True)
        blank = tl.load(end + 2, mask=there, other=0).to(tl.float32, bitcast=True)
        label_exponent = tl.load(end + 1, mask=there, other=0)
        blank_exponent = tl.load(end + 3, mask=there, other=0)
        main = tl.load(spells + row, mask=there, other=0) > 0
        rest, rest_exponent = add_extended(label, label_exponent, blank, blank_exponent)
        one, one_exponent = indicator(main)
        total, total_exponent = add_extended(rest, rest_exponent, one, one_exponent)
        some = total > 0.0
        # 3. the logarithm: log1p near 1, where the main path dominates, log elsewhere
        exponent = tl.maximum(tl.minimum(rest_exponent, 2), -8).to(tl.float64)
        near = log1p(rest.to(tl.float64) * tl.exp2(exponent * 32.0))
        far = tl.log(tl.where(some, total, 1.0).to(tl.float64)) + total_exponent.to(tl.float64) * LN2_32
        loss = -(tl.load(certain + row, mask=there, other=0.0) + tl.where(main & (rest_exponent <= 2), near, far))
        loss = loss.to(tl.float32) + 0.0
        if NORMALIZE:
            loss = tl.where(loss >= SMALLEST, loss, 0.0)
        # 4. rows without a number
        wrong = tl.load(broken + row, mask=there, other=0) > 0
        if INFEASIBLE == 2:
            wrong = wrong | (some == 0)
        loss = tl.where(some, loss, 0.0 if INFEASIBLE == 1 else float("inf"))
        loss = tl.where(wrong, float("nan"), loss)
        status = tl.where(wrong, BROKEN, tl.where(some, WITH_A_PATH, CLOSED))
        tl.store(losses_out + row, loss, mask=there)
        tl.store(status_out + row, status.to(tl.int8), mask=there)
        tl.store(references_out + row, tl.where(some, total_exponent, 0), mask=there)
        # 5. the reduction, with the weight that the gradient gets, rounded to float32
        if total_out is not None:
            divisor = tl.full([BLOCK], 1.0, tl.float64)
            if OWN_LABELS:
                divisor = tl.maximum(_load_label_counts(label_counts, row, there, longest), 1).to(tl.float64)
            if ROWS:
                divisor = divisor * batch
            if ALL_LABELS:
                divisor = divisor * tl.maximum(all_labels, 1.0)
            weight = (1.0 / divisor).to(tl.float32)
            if weights_out is not None:
                tl.store(weights_out + row, weight, mask=there)
            reduced += tl.sum(tl.where(there, loss.to(tl.float64) * weight.to(tl.float64), 0.0), 0)
        start += BLOCK
    if total_out is not None:
        tl.store(total_out, reduced.to(tl.float32))


def find_losses(
    ends: torch.Tensor, main: MainPath, label_counts: torch.Tensor | None, *, normalize: bool, infeasible: int,
    reduction: Reduction, longest: int,
) -> Losses:  # fmt: skip
    """Compute the loss of each row and the reduction.

    Args:
        ends: int32 (batch, 4), the last states of the backward pass, see `sums.Sums`.
        label_counts: integers (batch,), contiguous, the labels that count for a reduction; None for `longest`.
        normalize: as in the contract.
        infeasible: the loss of an infeasible row: INF, ZERO or NAN.
        reduction: as in the contract, which has its divisor's factors; a denominator is the caller's.
    """
    batch, device, factors = ends.shape[0], ends.device, DIVISORS[reduction]
    losses = torch.empty(batch, dtype=torch.float32, device=device)
    status = torch.empty(batch, dtype=torch.int8, device=device)
    references = torch.empty(batch, dtype=torch.int32, device=device)
    total = None if reduction == "none" else torch.empty((), dtype=torch.float32, device=device)
    weights = torch.empty(batch, dtype=torch.float32, device=device) if has_weights(reduction) else None
    if batch or total is not None:
        launch_kernel(
            _loss_kernel, 1,
            ends, main.certain, main.spells, main.broken, label_counts, losses, status, references, total, weights,
            batch, longest,
            NORMALIZE=normalize, INFEASIBLE=infeasible, OWN_LABELS=factors.own_labels, ROWS=factors.rows,
            ALL_LABELS=factors.all_labels, BLOCK=min(BLOCK, power_of_two(batch)),
        )  # fmt: skip
    return Losses(losses, status, references, total, weights)
