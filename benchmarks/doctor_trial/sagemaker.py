"""The published rules of SageMaker Debugger, with their default thresholds, at each tenth step of a training.

* vanishing gradient: the mean |gradient| of a weight below 1e-7
* exploding tensor: a loss or gradient that is not finite
* dead ReLU: half of the units of an nn.ReLU give 0 for all rows
* saturated activation: half of the inputs of an nn.Tanh outside of +-9.5
* weight update ratio: the norm of an update over that of the weight, outside of 1e-8 .. 10
* loss not decreasing: by 0.1 % or more in 10 steps
* overfit: (held-out loss - loss) / loss above 0.1
* poor weight initialisation: variances of first weights that differ by a factor above 10
* class imbalance needs labels, which a loss does not show; it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

EVERY = 10
EVALUATE = 50
VANISHING, LEAST_UPDATE, LARGEST_UPDATE, NOT_DECREASING, OVERFIT, VARIANCES, SATURATED = (
    1e-7,
    1e-8,
    10.0,
    0.1,
    0.1,
    10,
    9.5,
)


class Rules:
    """Follows a training; `fired` has the first step of each rule."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, held_out_loss: Callable[[], float]) -> None:
        self.model, self.held_out_loss = model, held_out_loss
        self.fired: dict[str, int] = {}
        self.losses: list[float] = []
        self.step = 0
        self.recorded_loss: float | None = None
        self.before: list[Tensor] | None = None
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        variances = [float(weight.detach().var()) for weight in self.weights if weight.dim() > 1]
        if variances and max(variances) > VARIANCES * max(min(variances), 1e-30):
            self.fire("poor-weight-initialisation")
        optimizer.register_step_pre_hook(lambda *_: self.before_step())
        optimizer.register_step_post_hook(lambda *_: self.after_step())
        for module in model.modules():
            if isinstance(module, nn.ReLU | nn.Tanh):
                module.register_forward_hook(self.see_activation)

    def fire(self, rule: str) -> None:
        self.fired.setdefault(rule, self.step)

    def see_loss(self, value: float) -> None:
        self.losses.append(value)
        if not math.isfinite(value):
            self.fire("exploding-tensor")

    def before_step(self) -> None:
        self.step += 1
        if self.step % EVERY:
            return
        for weight in self.weights:
            if weight.grad is not None:
                mean = float(weight.grad.abs().mean())
                if mean < VANISHING:
                    self.fire("vanishing-gradient")
                if not math.isfinite(mean):
                    self.fire("exploding-tensor")
        self.before = [weight.detach().clone() for weight in self.weights]

    def after_step(self) -> None:
        if self.step % EVERY:
            return
        for weight, before in zip(self.weights, self.before or (), strict=False):
            ratio = float((weight.detach() - before).norm() / before.norm().clamp(min=1e-30))
            if not LEAST_UPDATE < ratio < LARGEST_UPDATE:
                self.fire("weight-update-ratio")
        loss = self.losses[-1] if self.losses else math.nan
        if self.recorded_loss is not None and loss > self.recorded_loss * (1 - NOT_DECREASING / 100):
            self.fire("loss-not-decreasing")
        self.recorded_loss = loss
        if self.step % EVALUATE == 0 and (self.held_out_loss() - loss) / max(abs(loss), 1e-30) > OVERFIT:
            self.fire("overfit")

    def see_activation(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if self.step % EVERY or not module.training:
            return
        flat = output.detach().flatten(0, -2)
        if isinstance(module, nn.ReLU) and float((flat == 0).all(0).double().mean()) >= 0.5:
            self.fire("dead-relu")
        if isinstance(module, nn.Tanh) and float((inputs[0].detach().abs() > SATURATED).double().mean()) >= 0.5:
            self.fire("saturated-activation")


CAUSES: dict[str, frozenset[str]] = {
    "vanishing-gradient": frozenset({"weights-without-gradient", "layer-blocked", "gradient-missing",
                                     "weights-unused"}),
    "exploding-tensor": frozenset({"loss-not-finite", "outputs-not-finite", "inputs-not-finite", "steps-skipped"}),
    "dead-relu": frozenset({"layer-dead", "outputs-clipped"}),
    "saturated-activation": frozenset({"layer-saturated"}),
    "weight-update-ratio": frozenset({"updates-too-large", "weights-not-moved", "weights-not-in-optimizer",
                                      "optimizer-not-stepped", "optimizer-holds-other-weights"}),
    "loss-not-decreasing": frozenset({"input-not-used", "predicts-the-average", "only-blanks", "updates-too-large"}),
    "overfit": frozenset({"held-out-scaled-otherwise", "evaluation-differs"}),
    "poor-weight-initialisation": frozenset({"first-loss-too-high"}),
}  # fmt: skip
"""Findings that a rule may be taken to name, read generously."""


def rules_fired(rules: Rules) -> Iterator[dict[str, Any]]:
    for name, step in sorted(rules.fired.items(), key=lambda pair: pair[1]):
        yield {"rule": name, "step": step}
