"""Highway layers."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Highway(nn.Module):
    """Layers that change a vector only where a gate opens: t relu(W x + b) + (1 - t) x with t = sigmoid(V x + c).

    A negative gate bias c lets a fresh layer pass its input on almost unchanged.

    Args:
        size: values of a vector.
        layers: how many; 0 returns the input.
        gate_bias: c at the beginning.
        device: of the weights.
        dtype: of the weights.

    References:
        R. K. Srivastava, K. Greff, J. Schmidhuber, "Training very deep networks", NIPS 2015.
    """

    def __init__(
        self, size: int, layers: int = 1, gate_bias: float = -2.0, *,
        device: torch.device | str | None = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.gate_bias = size, gate_bias
        self.layers = nn.ModuleList(nn.Linear(size, 2 * size, device=device, dtype=dtype) for _ in range(layers))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.Linear draws them, but for the biases of the gates."""
        for layer in self.layers:
            linear = cast(nn.Linear, layer)
            linear.reset_parameters()
            nn.init.constant_(linear.bias[self.size :], self.gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (..., size) to vectors of the same shape."""
        for layer in self.layers:
            changed, gate = layer(x).chunk(2, dim=-1)  # W and V are the halves of one matrix
            x = torch.lerp(x, F.relu(changed), gate.sigmoid())
        return x
