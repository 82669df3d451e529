"""Measure and draw the gradient that reaches each layer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from seqloss.doctor.arguments import check_module, check_optimizer
from seqloss.errors import missing_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLOCKED = 1e-6
"""A layer is blocked if its mean |gradient| is below this fraction of the largest."""

BIASES = re.compile(r"bias|bias_[ih]h_l\d+(_reverse)?|bias_[kv]|\w+_bias")
"""The names that torch's layers give to biases."""


def mean_gradients(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, float]:
    """Measure the gradient that reaches each layer, to find layers that do not learn.

        flow[name] = mean over the entries of |d loss / d weight|

    Biases are left out: their gradients are sums over all frames, and stay large even if the weights of the layer get
    no gradient.

    Args:
        model: a module, after `loss.backward()` and before the gradients are cleared.
        optimizer: measure only the weights that this optimizer trains; None for all.

    Returns:
        A mapping from the name of each trained weight to its mean |gradient|, in the order of the model: 0 without a
        gradient, NaN or inf if an entry is.

    Raises:
        DTypeError: the model is not a torch.nn.Module, or the optimizer no torch.optim.Optimizer.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import mean_gradients
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
        >>> model[1](model[0](torch.ones(1, 1)).detach()).sum().backward()  # `detach` blocks the first layer
        >>> list(mean_gradients(model)), mean_gradients(model)["0.weight"]
        (['0.weight', '1.weight'], 0.0)
    """
    check_module(model, "mean_gradients(model) after loss.backward()")
    if optimizer is not None:
        check_optimizer(optimizer, "mean_gradients(model, optimizer)")
    groups = [{"params": list(model.parameters())}] if optimizer is None else optimizer.param_groups
    trained = {id(weight) for group in groups for weight in group["params"]}
    return {
        name: 0.0 if weight.grad is None else _mean_absolute(weight.grad.detach())
        for name, weight in model.named_parameters()
        if weight.requires_grad and id(weight) in trained and not BIASES.fullmatch(name.rpartition(".")[2])
    }


def _mean_absolute(gradient: torch.Tensor) -> float:
    """Return the mean of |gradient|; entries that a sparse gradient does not store count as 0."""
    held = gradient.coalesce().values() if gradient.is_sparse else gradient
    return float(held.abs().float().sum()) / max(1, gradient.numel())


def plot_gradient_flow(model: nn.Module | Mapping[str, float]) -> Figure:
    """Draw the gradient that reaches each layer, with blocked layers in red.

        bar[name] = mean over the entries of |d loss / d weight|

    Args:
        model: a module, after `loss.backward()` and before the gradients are cleared; or a result of `mean_gradients`.

    Returns:
        A matplotlib figure with one bar for each weight, in the order of the model, on a logarithmic axis. A layer with
        less than 1e-6 of the largest mean, or with NaN or inf, is labelled in red.

    Raises:
        ImportError: matplotlib is not installed.
        DTypeError: the model is neither a torch.nn.Module nor a mapping.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from seqloss.doctor import plot_gradient_flow
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> model(torch.ones(1, 4)).sum().backward()
        >>> figure = plot_gradient_flow(model)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['0.weight', '2.weight']
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing_extra("matplotlib", "train", "plot_gradient_flow") from error
    if not isinstance(model, Mapping):
        expected = "a torch.nn.Module, or a result of mean_gradients"
        check_module(model, "plot_gradient_flow(model) after loss.backward()", expected)
    flow = dict(model) if isinstance(model, Mapping) else mean_gradients(model)
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
            text = blocked if math.isfinite(value) else f"{value}: the gradient is not finite"
            axes.text(least, place, f" {text}", color="#cc3311", va="center", fontweight="bold", fontsize=9)
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
