"""Tools that find out why a model does not learn.

* `plot_gradient_flow`, `mean_gradients`: the gradient that reaches each layer.
* `layers`: record the outputs and gradients of a model, layer by layer.
* `examine`: check laws that every healthy training keeps, before the first step.
* `watch`: follow a training, and find out while it runs why it does not learn.
* `compare`: find the first difference of two implementations of one model, and its likely cause.
* `seqloss.doctor.lightning`: callbacks for Lightning.
* `seqloss.doctor.sanity_checks`: checks before the first training step.

Importing this module imports no framework. Each name is imported at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqloss.doctor.comparison import Comparison, compare
    from seqloss.doctor.examination import examine
    from seqloss.doctor.findings import Finding, Findings
    from seqloss.doctor.gradient_flow import mean_gradients, plot_gradient_flow
    from seqloss.doctor.layer_outputs import layers
    from seqloss.doctor.watching.watch import watch

__all__ = [
    "Comparison",
    "Finding",
    "Findings",
    "compare",
    "examine",
    "layers",
    "mean_gradients",
    "plot_gradient_flow",
    "watch",
]

_MODULES = {
    "Comparison": "comparison",
    "compare": "comparison",
    "Finding": "findings",
    "Findings": "findings",
    "examine": "examination",
    "layers": "layer_outputs",
    "mean_gradients": "gradient_flow",
    "plot_gradient_flow": "gradient_flow",
    "watch": "watching.watch",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
