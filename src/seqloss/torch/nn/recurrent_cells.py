"""Recurrent cells that read padded rows from their first step on, by PyTorch's own functions.

PyTorch returns the state after the last step of the batch. A row of length n needs the state after its step n. Its h is
the output of that step. An LSTM's memory cell c is no output, so the cell must keep it through the padding: one more
input is 1 there and 0 elsewhere, and its weights `hold` close the input gate and open the forget gate,

    c' = sigmoid(f + HOLD) c + sigmoid(i - HOLD) tanh(g) = c.

The sigmoids are exactly 1 and 0, so the padding also gets no gradient. With ReLU the state could grow without bound in
the padding; there the same input sets it to 0. On a CPU this keeps the fast kernel for padded batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

HOLD = 1e4
"""More than the sum of a gate in any useful network; float16 holds it."""

States = tuple[Tensor, ...]
"""(h,), for an LSTM (h, c): each (batch, hidden)."""


@dataclass(frozen=True)
class Cell:
    """What the kinds of cells differ in.

    Attributes:
        read: PyTorch's function for whole sequences.
        states: 2 for an LSTM, otherwise 1.
        gates: blocks of rows of the weights.
        hold: what is added to each gate in the padding; empty if nothing needs to be.
    """

    read: Callable[..., Any]
    states: int
    gates: int
    hold: tuple[float, ...] = ()


CELLS = {
    "lstm": Cell(torch.lstm, 2, 4, (-HOLD, HOLD, 0.0, 0.0)),
    "gru": Cell(torch.gru, 1, 3),
    "rnn_tanh": Cell(torch.rnn_tanh, 1, 1),
    "rnn_relu": Cell(torch.rnn_relu, 1, 1, (-HOLD,)),
}


def read_plain(cell: Cell, x: Tensor, real: Tensor | None, states: States, weights: Sequence[Tensor]) -> States:
    """Outputs (batch, time, hidden); for an LSTM also c after the last real step of each row.

    Args:
        cell: its kind.
        x: (batch, time, features), finite in the padding.
        real: (batch, time), False in the padding, which follows the row; None without padding.
        states: before the first step.
        weights: weight_ih, weight_hh and, if any, bias_ih, bias_hh, as torch.nn names them.
    """
    weight_ih, *others = weights
    if cell.hold and real is not None:
        x = torch.cat([x, (~real)[:, :, None].to(x.dtype)], dim=2)
        hold = weight_ih.new_tensor(cell.hold).repeat_interleave(len(weight_ih) // cell.gates)
        weight_ih = torch.cat([weight_ih, hold[:, None]], dim=1)
    before = [state[None].to(x.dtype).contiguous() for state in states]
    hx = before if cell.states == 2 else before[0]
    found = cell.read(x, hx, [weight_ih, *others], len(weights) == 4, 1, 0.0, False, False, True)
    return found[0], *(state[0] for state in found[2:])
