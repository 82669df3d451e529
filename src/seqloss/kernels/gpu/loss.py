"""From the sum over all paths to each row's loss, in float64.

loss = -(certain + log1p(rest)) where the main path reads as the target, of weight 1 beside `rest`,
loss = -(certain + log(total))  elsewhere.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss import contract
from seqloss.kernels.gpu.launch import start
from seqloss.kernels.gpu.main_path import MainPath, log1p
from seqloss.kernels.gpu.tiles import cdiv
from seqloss.kernels.gpu.wide import add, indicator

WITH_A_PATH, CLOSED, BROKEN = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
"""What becomes of a row: a number, nothing (infeasible), NaN."""

INF, ZERO, NAN = 0, 1, 2
"""The loss of a row that no path fits; NAN makes it a broken one."""

SMALLEST = tl.constexpr(contract.SMALLEST)
LN2_32 = tl.constexpr(22.18070977791825)
"""32 ln 2."""
BLOCK = 128


class Losses(NamedTuple):
    """Each row's loss.

    Attributes:
        losses: float32 (batch,), NaN in broken rows.
        status: int8 (batch,), WITH_A_PATH, CLOSED or BROKEN.
        references: int32 (batch,), the exponent of the sum over all paths.
    """

    losses: torch.Tensor
    status: torch.Tensor
    references: torch.Tensor


@triton.jit
def _loss_kernel(
    ends, certain, spells, broken, losses_out, status_out, references_out, batch,
    NORMALIZE: tl.constexpr, INFEASIBLE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = row < batch
    end = ends + row.to(tl.int64) * 4
    label = tl.load(end, mask=there, other=0).to(tl.float32, bitcast=True)
    blank = tl.load(end + 2, mask=there, other=0).to(tl.float32, bitcast=True)
    label_exponent = tl.load(end + 1, mask=there, other=0)
    blank_exponent = tl.load(end + 3, mask=there, other=0)
    main = tl.load(spells + row, mask=there, other=0) > 0
    rest, rest_exponent = add(label, label_exponent, blank, blank_exponent)
    one, one_exponent = indicator(main)
    total, total_exponent = add(rest, rest_exponent, one, one_exponent)
    some = total > 0.0
    exponent = tl.maximum(tl.minimum(rest_exponent, 2), -8).to(tl.float64)
    near = log1p(rest.to(tl.float64) * tl.exp2(exponent * 32.0))
    far = tl.log(tl.where(some, total, 1.0).to(tl.float64)) + total_exponent.to(tl.float64) * LN2_32
    loss = -(tl.load(certain + row, mask=there, other=0.0) + tl.where(main & (rest_exponent <= 2), near, far))
    loss = loss.to(tl.float32) + 0.0
    if NORMALIZE:
        loss = tl.where(loss >= SMALLEST, loss, 0.0)
    wrong = tl.load(broken + row, mask=there, other=0) > 0
    if INFEASIBLE == 2:
        wrong = wrong | (some == 0)
    loss = tl.where(some, loss, 0.0 if INFEASIBLE == 1 else float("inf"))
    loss = tl.where(wrong, float("nan"), loss)
    status = tl.where(wrong, BROKEN, tl.where(some, WITH_A_PATH, CLOSED))
    tl.store(losses_out + row, loss, mask=there)
    tl.store(status_out + row, status.to(tl.int8), mask=there)
    tl.store(references_out + row, tl.where(some, total_exponent, 0), mask=there)


def find_losses(ends: torch.Tensor, main: MainPath, *, normalize: bool, infeasible: int) -> Losses:
    """Each row's loss.

    Args:
        ends: int32 (batch, 4), the last states of the backward walks, see `sums.Sums`.
        normalize: as in the contract.
        infeasible: what a row is that no path fits: INF, ZERO or NAN.
    """
    batch, device = ends.shape[0], ends.device
    losses = torch.empty(batch, dtype=torch.float32, device=device)
    status = torch.empty(batch, dtype=torch.int8, device=device)
    references = torch.empty(batch, dtype=torch.int32, device=device)
    if batch:
        start(
            _loss_kernel, cdiv(batch, BLOCK),
            ends, main.certain, main.spells, main.broken, losses, status, references, batch,
            NORMALIZE=normalize, INFEASIBLE=infeasible, BLOCK=BLOCK,
        )  # fmt: skip
    return Losses(losses, status, references)
