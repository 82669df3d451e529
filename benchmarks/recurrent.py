"""Recurrent layers on uneven batches, beside torch's packed path written by hand.

Forward and backward of one bidirectional layer. Lengths are from a third of the time axis to all of it. Before anything
is measured, the two give the same values. Bytes are those that the graph keeps for the backward.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from interleaved import Figures, time_in_turns
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloss.torch.nn import Recurrent

CELLS: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
SHAPES = {"speech": (16, 150, 80, 128), "words": (32, 40, 64, 128)}
"""Name of a batch: rows, time, features, hidden."""

Layer = Callable[[Tensor, Tensor], Tensor]


def packed(module: nn.RNNBase) -> Layer:
    def read(x: Tensor, lengths: Tensor) -> Tensor:
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(module(rows)[0], batch_first=True, total_length=x.shape[1])[0]

    return read


def contestants(cell: str, features: int, hidden: int) -> dict[str, Layer]:
    torch.manual_seed(0)
    module = CELLS[cell](features, hidden, bidirectional=True, batch_first=True)
    plain = Recurrent.from_torch(module)
    normalised = Recurrent(cell, features, hidden, bidirectional=True, layer_norm=True)  # type: ignore[arg-type]
    return {
        "packed": packed(module),
        "seqloss": lambda x, lengths: plain(x, lengths)[0],
        "seqloss, layer norm": lambda x, lengths: normalised(x, lengths)[0],
    }


def measure(rounds: int) -> dict[str, Figures]:
    """Each cell and batch, on one thread and on two."""
    found = {}
    threads = torch.get_num_threads()
    for used in (1, 2):
        torch.set_num_threads(used)
        for cell in CELLS:
            for shape in SHAPES:
                found[f"{cell}, {shape}, threads {used}"] = compare(cell, shape, rounds)
    torch.set_num_threads(threads)
    return found


def compare(cell: str, shape: str, rounds: int) -> Figures:
    batch, steps, features, hidden = SHAPES[shape]
    layers = contestants(cell, features, hidden)
    x = torch.randn(batch, steps, features, requires_grad=True)
    lengths = torch.randint(steps // 3, steps + 1, (batch,))
    torch.testing.assert_close(layers["seqloss"](x, lengths), layers["packed"](x, lengths), rtol=1e-4, atol=1e-5)
    found = time_in_turns({name: partial(both_ways, layer, x, lengths) for name, layer in layers.items()}, rounds)
    for name, layer in layers.items():
        found[name]["saved_megabytes"] = round(saved_bytes(layer, x, lengths) / 1e6, 1)
    return found


def both_ways(layer: Layer, x: Tensor, lengths: Tensor) -> None:
    layer(x, lengths).sum().backward()


def saved_bytes(layer: Layer, x: Tensor, lengths: Tensor) -> int:
    """Of all storages that the graph keeps, each counted once."""
    sizes: dict[int, int] = {}
    kept = []  # so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(x, lengths)
    return sum(sizes.values())
