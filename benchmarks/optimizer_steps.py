"""A step of SMORMS3 beside torch's RMSprop and Adam, on the weights of an LSTM.

Gradients are random and stay as they are. Bytes are those of the optimiser's state.
"""

from __future__ import annotations

from typing import Any

import torch
from interleaved import Figures, time_in_turns
from sparse_table import bytes_of
from torch import nn
from torch.optim import Adam, RMSprop

from seqloss.torch.optim import SMORMS3

OPTIMIZERS: dict[str, Any] = {"SMORMS3": SMORMS3, "RMSprop": RMSprop, "Adam": Adam}
SIZES = {"small": (32, 64, 1), "large": (256, 512, 2)}
"""Name of an LSTM: features, hidden, layers."""


def measure(rounds: int) -> dict[str, Figures]:
    """Both implementations, a loop over the weights and `foreach`, for both sizes."""
    return {
        f"{size} LSTM, {'foreach' if foreach else 'loop'}": compare(size, foreach, rounds)
        for size in SIZES
        for foreach in (False, True)
    }


def compare(size: str, foreach: bool, rounds: int) -> Figures:
    made = {name: make(kind, size, foreach) for name, kind in OPTIMIZERS.items()}
    found = time_in_turns({name: optimizer.step for name, optimizer in made.items()}, rounds)
    for name, optimizer in made.items():
        found[name]["state_megabytes"] = round(bytes_of(dict(optimizer.state)) / 1e6, 2)
    return found


def make(kind: Any, size: str, foreach: bool) -> torch.optim.Optimizer:
    features, hidden, layers = SIZES[size]
    torch.manual_seed(0)
    weights = list(nn.LSTM(features, hidden, layers).parameters())
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    found: torch.optim.Optimizer = kind(weights, lr=1e-3, foreach=foreach)
    return found
