"""Recurrent cells with layer normalisation inside, one step after another.

With LN(a; gain, bias) = gain (a - mean(a)) / deviation(a) + bias, over all gates of a step together:

    LSTM   (i, f, g, o) = LN(W x) + LN(U h),   c' = sigmoid(f) c + sigmoid(i) tanh(g),   h' = sigmoid(o) tanh(LN(c'))
    GRU    (r, z, a) = LN(W x),   (r', z', a') = LN(U h)
           n = tanh(a + sigmoid(r + r') a'),   h' = (1 - u) n + u h,   u = sigmoid(z + z')
    Elman  h' = tanh(LN(W x) + LN(U h))

Each LN has its own gain and bias. LN(W x) is computed for all steps at once.

References:
    J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv 1607.06450, 2016: equations 20 to 22 for the LSTM,
    and those of its GRU with the reset gate applied after the product, as in torch.nn.GRU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seqloss.torch.nn.recurrent_cells import States


@dataclass(frozen=True)
class NormWeights:
    """Gains and biases (none without biases) of the three norms; the last one is the LSTM's alone."""

    gain_ih: Tensor
    gain_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    gain_c: Tensor | None = None
    bias_c: Tensor | None = None


def read_normalised(
    kind: str, x: Tensor, states: States, weight_ih: Tensor, weight_hh: Tensor, norm: NormWeights
) -> States:
    """The states after every step, each (batch, time, hidden); the first is the output.

    Args:
        kind: "lstm", "gru", "rnn_tanh" or "rnn_relu".
        x: (batch, time, features).
        states: before the first step.
        weight_ih: W, (gates * hidden, features).
        weight_hh: U, (gates * hidden, hidden).
        norm: gains and biases.
    """
    step, found = STEPS[kind], []
    for projected in layer_norm(F.linear(x, weight_ih), norm.gain_ih, norm.bias_ih).unbind(1):
        recurrent = layer_norm(F.linear(states[0], weight_hh), norm.gain_hh, norm.bias_hh)
        states = step(projected, recurrent, states, norm)
        found.append(states)
    return tuple(torch.stack(every, dim=1) for every in zip(*found, strict=True))


def layer_norm(x: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    return F.layer_norm(x, gain.shape, gain, bias)


def step_lstm(projected: Tensor, recurrent: Tensor, states: States, norm: NormWeights) -> States:
    assert norm.gain_c is not None
    gates = projected + recurrent
    i, f, _, o = gates.sigmoid().chunk(4, dim=1)  # one call for three gates costs less than three calls
    c = f * states[1] + i * gates.chunk(4, dim=1)[2].tanh()
    return o * layer_norm(c, norm.gain_c, norm.bias_c).tanh(), c


def step_gru(projected: Tensor, recurrent: Tensor, states: States, norm: NormWeights) -> States:
    size = states[0].shape[1]
    reset, update = (projected[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid().chunk(2, dim=1)
    new = (projected[:, 2 * size :] + reset * recurrent[:, 2 * size :]).tanh()
    return (new + update * (states[0] - new),)


def step_tanh(projected: Tensor, recurrent: Tensor, states: States, norm: NormWeights) -> States:
    return ((projected + recurrent).tanh(),)


def step_relu(projected: Tensor, recurrent: Tensor, states: States, norm: NormWeights) -> States:
    return ((projected + recurrent).relu(),)


STEPS: dict[str, Callable[[Tensor, Tensor, States, NormWeights], States]] = {
    "lstm": step_lstm,
    "gru": step_gru,
    "rnn_tanh": step_tanh,
    "rnn_relu": step_relu,
}
