"""How far the gradient of accumulated batches is from that of the one big batch, for uneven batches."""

from __future__ import annotations

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure

from seqloss.torch import ctc_loss

CUTS = {"4 + 4 + 4": [4, 4, 4], "5 + 4 + 3": [5, 4, 3], "8 + 2 + 2": [8, 2, 2], "10 + 1 + 1": [10, 1, 1]}
DRAWS = 20


def draw() -> Figure:
    found = {name: [errors_of(cut, seed) for seed in range(DRAWS)] for name, cut in CUTS.items()}
    figure, axis = pyplot.subplots(figsize=(5.4, 2.8), layout="constrained")
    for column, (label, color) in enumerate([("mean of the batches' means", "tab:red"), ("denominator=", "tab:blue")]):
        for place, errors in enumerate(found.values()):
            values = [max(error[column], 1e-9) for error in errors]
            axis.plot([place + 0.2 * column - 0.1] * DRAWS, values, "o", color=color, alpha=0.5, markersize=4,
                      label=label if place == 0 else None)  # fmt: skip
    axis.set_xticks(range(len(CUTS)), list(CUTS))
    axis.set(yscale="log", ylabel="relative error of the gradient", xlabel="rows of three accumulated batches")
    axis.legend(frameon=False)
    return figure


def errors_of(cut: list[int], seed: int) -> tuple[float, float]:
    """Of the mean of means, and of sums with the denominator of the big batch; labels per row are uneven."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(8, 12)
    lengths = torch.randint(1, 11, (12,))
    batch = torch.randn(12, 25, 8), torch.randint(1, 12, (12, 10)), torch.full((12,), 25), lengths
    parts = list(zip(*(x.split(cut) for x in batch), strict=True))

    def gradient(*losses: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(sum(losses), model.weight)[0]

    whole = gradient(ctc_loss(model(batch[0]), *batch[1:], reduction="labels"))
    means = [ctc_loss(model(x), *rest, reduction="labels") / len(cut) for x, *rest in parts]
    total = int(lengths.sum())
    sums = [ctc_loss(model(x), *rest, reduction="sum", denominator=total) for x, *rest in parts]
    return tuple(float((gradient(*losses) - whole).norm() / whole.norm()) for losses in (means, sums))  # type: ignore[return-value]
