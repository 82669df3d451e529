"""Two versions of a model, compared layer by layer: a layer norm has another epsilon."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import nn

from seqloss.doctor import compare, layers


def draw() -> Figure:
    torch.manual_seed(0)
    right, wrong = build(1e-5), build(1e-3)
    wrong.load_state_dict(right.state_dict())
    inputs = torch.randn(4, 20, 8).numpy()
    tensors = compare(lambda x: outputs_of(right, x), lambda x: outputs_of(wrong, x), inputs).tensors
    figure, axis = pyplot.subplots(figsize=(5.4, 2.6), layout="constrained")
    for place, tensor in enumerate(tensors):
        color = "tab:blue" if tensor.same else "tab:red"
        axis.bar(place, max(tensor.relative or 0.0, 1e-9), 0.6, bottom=0, color=color)
    axis.axhline(7.6e-6, color="black", linewidth=0.8, linestyle=":")
    axis.text(-0.4, 9e-6, "tolerance of float32", va="bottom")
    axis.set_xticks(range(len(tensors)), [tensor.name for tensor in tensors])
    axis.set(yscale="log", ylabel="relative difference", title="epsilon of the layer norm: 1e-5 and 1e-3")
    return figure


def build(epsilon: float) -> nn.Sequential:
    modules: dict[str, nn.Module] = {
        "first": nn.Linear(8, 32), "relu": nn.ReLU(), "second": nn.Linear(32, 32),
        "norm": nn.LayerNorm(32, eps=epsilon), "third": nn.Linear(32, 32), "logits": nn.Linear(32, 6),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(modules))


def outputs_of(model: nn.Sequential, x: Any) -> dict[str, Any]:
    with layers(model) as recorded:
        model(torch.as_tensor(x))
    return dict(recorded())
