"""How much gradient reaches each layer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from seqloss.errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCKED = 1e-6
"""Of the largest: a layer under this learns nothing while the others do."""

BIASES = re.compile(r"bias|bias_[ih]h_l\d+(_reverse)?|bias_[kv]|\w+_bias")
"""What torch's own layers call theirs."""


def mean_gradients(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, float]:
    """Measure how much gradient reaches each layer: the mean of |gradient| over the entries of each weight.

    Biases are left out: theirs are sums over all frames, and stay large where a layer's weights get nothing.

    Args:
        model: after `loss.backward()`, before the gradients are cleared.
        optimizer: measure what this one trains, where there are several; None for everything.

    Returns:
        a number for each weight that is trained, by its name, in the model's order; 0 where no gradient came, NaN or
        inf where one of its entries is.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import mean_gradients
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> model[1](model[0](torch.ones(1, 1)).detach()).sum().backward()  # the first layer is cut off
        >>> list(mean_gradients(model)), mean_gradients(model)["0.weight"]
        (['0.weight', '1.weight'], 0.0)
    """
    groups = [{"params": list(model.parameters())}] if optimizer is None else optimizer.param_groups
    trained = {id(weight) for group in groups for weight in group["params"]}
    return {
        name: 0.0 if weight.grad is None else _mean_absolute(weight.grad.detach())
        for name, weight in model.named_parameters()
        if weight.requires_grad and id(weight) in trained and not BIASES.fullmatch(name.rpartition(".")[2])
    }


def _mean_absolute(gradient: torch.Tensor) -> float:
    """The mean of |gradient|; what a sparse one does not hold counts as 0."""
    held = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(held.abs().float().sum()) / max(1, gradient.numel())


def plot_gradient_flow(model: nn.Module | Mapping[str, float]) -> Figure:
    """Draw how much gradient reaches each layer: a layer that is blocked is seen at a glance.

    Args:
        model: after `loss.backward()`, before the gradients are cleared; or what `mean_gradients` gave.

    Returns:
        a matplotlib figure: a bar for each weight in the model's order, on a logarithmic axis; where nothing arrives,
        or what is no number, it says so in red.

    Raises:
        MissingExtraError: matplotlib is not installed.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import plot_gradient_flow
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> model(torch.ones(1, 4)).sum().backward()
        >>> plot_gradient_flow(model).savefig("flow.png")  # doctest: +SKIP
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "train", "plot_gradient_flow") from error
    flow = mean_gradients(model) if isinstance(model, nn.Module) else dict(model)
    numbers = [value for value in flow.values() if math.isfinite(value)]
    largest = max(numbers, default=0.0)
    least = max(min((value for value in numbers if value > BLOCKED * largest), default=1.0) / 3, 1e-30)
    figure = Figure(figsize=(7, 0.6 + 0.26 * max(1, len(flow))), layout="constrained")
    axes = figure.add_subplot()
    for place, value in enumerate(flow.values()):
        arrives = math.isfinite(value) and value > BLOCKED * largest
        axes.barh(place, max(value, least) - least if arrives else 0, left=least, color="#4477aa", height=0.7)
        if not arrives:
            blocked = "no gradient" if value == 0 else f"blocked: {value:.1e}"
            words = blocked if math.isfinite(value) else f"{value}: its gradient is no number"
            axes.text(least, place, f" {words}", color="#cc3311", va="center", fontweight="bold", fontsize=9)
    axes.set_yticks(range(len(flow)), list(flow), fontsize=9)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(least, max(largest * 1.5, least * 10))
    axes.set_xlabel("mean |gradient| of the weights", fontsize=9)
    axes.tick_params(labelsize=9, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure
