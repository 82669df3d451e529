"""Find out why a model does not learn.

* `plot_gradient_flow`, `mean_gradients`: how much gradient reaches each layer.
* `layers`: what a model computes, layer by layer, to compare with the same model in another framework.
* `compare`: where two implementations of one model first differ, and the likely cause.
* `seqloss.doctor.lightning`: callbacks for Lightning.
* `seqloss.doctor.sanity_checks`: what to check before the first training step.

Importing this module imports no framework: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqloss.doctor.comparison import Comparison, compare
    from seqloss.doctor.gradient_flow import mean_gradients, plot_gradient_flow
    from seqloss.doctor.layer_outputs import layers

__all__ = ["Comparison", "compare", "layers", "mean_gradients", "plot_gradient_flow"]

_MODULES = {
    "Comparison": "comparison",
    "compare": "comparison",
    "layers": "layer_outputs",
    "mean_gradients": "gradient_flow",
    "plot_gradient_flow": "gradient_flow",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
