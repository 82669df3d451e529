"""Layers whose activation is stuck: zero everywhere, or saturated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.view import View

DEAD = 0.99
"""Share of exact zeros behind a ReLU."""

SATURATED = 0.95
"""Share of outputs at an end of their range."""

NEAR = 1e-3

LOOKS = 2


class Units:
    """Records activations while the model is called."""

    def __init__(self, model: nn.Module) -> None:
        kinds = (nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid)
        self.layers = {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
        self.counts: dict[tuple[str, str], int] = {}
        self.found: dict[str, tuple[str, float]] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        self.found = {}
        handles = [module.register_forward_hook(self._hook(name)) for name, module in self.layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.found[name] = _share(module, output)

        return hook

    def look(self, view: View) -> Iterator[Finding]:
        for name, (kind, share) in self.found.items():
            stuck = share >= (DEAD if kind == "dead" else SATURATED)
            self.counts[name, kind] = self.counts.get((name, kind), 0) + 1 if stuck else 0
            if self.counts[name, kind] == LOOKS:
                what = "is 0 almost everywhere" if kind == "dead" else "is at an end of its range almost everywhere"
                yield Finding(
                    f"layer-{kind}", "error", {"step": view.step, "layer": name, "share": share},
                    f"the activation {what}, and passes no gradient on",
                    "Use a smaller learning rate, normalise what the layer is given, or use another activation",
                    f"print(model.get_submodule({name!r})(inputs))",
                )  # fmt: skip


def _share(module: nn.Module, output: Tensor) -> tuple[str, float]:
    if isinstance(module, nn.ReLU | nn.ReLU6):
        return "dead", float((output == 0).double().mean())
    low, high = (0.0, 1.0) if isinstance(module, nn.Sigmoid | nn.Hardsigmoid) else (-1.0, 1.0)
    return "saturated", float(((output <= low + NEAR) | (output >= high - NEAR)).double().mean())
