"""Time of recurrent layers on uneven batches, beside torch's packed path written by hand.

    python benchmarks/recurrent.py [--calls 5] [--threads 1 2] [--write]

Forward and backward of one bidirectional layer. The contestants take turns, so that a change of the machine's speed
meets all of them, and give the same values before anything is measured. Lengths are from a third of the time axis to
all of it. Times are processor time, which other programs on the machine disturb less than the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloss.torch.nn import Recurrent

RESULTS = Path(__file__).parent / "results" / "recurrent.json"
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


def compare(cell: str, shape: str, calls: int) -> dict[str, dict[str, float]]:
    batch, steps, features, hidden = SHAPES[shape]
    layers = contestants(cell, features, hidden)
    x = torch.randn(batch, steps, features, requires_grad=True)
    lengths = torch.randint(steps // 3, steps + 1, (batch,))
    torch.testing.assert_close(layers["seqloss"](x, lengths), layers["packed"](x, lengths), rtol=1e-4, atol=1e-5)
    spent: dict[str, list[float]] = {name: [] for name in layers}
    for call in range(calls + 1):
        for name, layer in layers.items():
            start = time.process_time()
            layer(x, lengths).sum().backward()
            if call:
                spent[name].append(1e3 * (time.process_time() - start))
    return {
        name: {"ms": statistics.median(times), "fastest_ms": min(times), "slowest_ms": max(times)}
        for name, times in spent.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for cell in CELLS:
            for shape in SHAPES:
                case = f"{cell}, {shape}, threads {threads}"
                found[case] = compare(cell, shape, options.calls)
                figures = "".join(f"  {name} {one['ms']:7.1f} ms" for name, one in found[case].items())
                print(f"{case:26}{figures}", flush=True)
    if options.write:
        result = {"machine": machine("torch"), "calls": options.calls, "shapes": SHAPES, "cases": found}
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
