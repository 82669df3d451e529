"""SMORMS3: a step is at most the learning rate where gradients agree, and smaller where they are noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from seqloss.errors import OptionError
from seqloss.torch.optim.gradients import refuse_sparse
from seqloss.torch.optim.smorms3_rule import KEYS, step_each, step_together
from seqloss.torch.optim.state_dicts import check_groups, check_state, entries, load_checked


class SMORMS3(Optimizer):
    """Optimise with a step that follows how well successive gradients of a weight agree.

    For each weight, with the average gradient g, the average squared gradient g2 and a memory of `mem` steps::

        r = 1 / (mem + 1);    g = (1 - r) g + r grad;    g2 = (1 - r) g2 + r grad^2
        x = g^2 / (g2 + eps);    mem = 1 + mem (1 - x)
        weight = weight - grad * min(lr, x) / (sqrt(g2) + eps)

    g and g2 start at 0 and mem at 1. x is 1 if the gradients in memory are equal, and near 0 if they cancel.

    The state is in float32 for weights of a half type, because 1e-16 is 0 in float16, and in the type of the weight
    otherwise. A complex weight is two real ones. A weight without a gradient is left as it is.

    Args:
        params: parameters, pairs of name and parameter, or groups of parameters with own options.
        lr: the largest step, relative to the root of g2; at least 0. A tensor of one element is read in every step.
        eps: keeps the divisions defined; above 0.
        weight_decay: decoupled, as in AdamW: each step subtracts lr * weight_decay * weight.
        foreach: update all tensors of a device and type together, which is faster on a GPU and takes memory for
            temporary tensors of all of them. None: on a GPU only.
        maximize: climb instead of descend.

    Raises:
        OptionError: an option is out of range.
        GradientError: a gradient is sparse, in `step`; no weight has been changed.
        ShapeError: a state dict of another model, in `load_state_dict`; nothing has been loaded.

    Example:
        >>> import torch
        >>> from seqloss.torch.optim import SMORMS3
        >>> weight = torch.tensor([1.0, -2.0], requires_grad=True)
        >>> optimizer = SMORMS3([weight], lr=0.1)
        >>> for _ in range(100):
        ...     optimizer.zero_grad()
        ...     weight.square().sum().backward()
        ...     optimizer.step()
        >>> bool(weight.abs().max() < 1e-3)
        True

    References:
        S. Funk, "RMSprop loses to SMORMS3 - Beware the Epsilon!", 2015,
        https://sifter.org/~simon/journal/20150420.html.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2.5e-3,
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        options = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize}
        super().__init__(params, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with own options.

        Raises:
            OptionError: an option is out of range.
        """
        check_options({**self.defaults, **param_group}, len(self.param_groups))
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every weight that has a gradient; returns what the closure returns.

        Raises:
            GradientError: a gradient is sparse; no weight has been changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        refuse_sparse(self)
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            states = [self.state[param] or self._start(param) for param in params]
            together = all(map(is_on_gpu, params)) if group["foreach"] is None else group["foreach"]
            rule = step_together if together else step_each
            rule(params, states, float(group["lr"]), group["eps"], group["weight_decay"], group["maximize"])
        return loss

    def _start(self, param: Tensor) -> dict[str, Tensor]:
        kind = state_dtype(param)
        average, square, memory = (torch.zeros_like(param, dtype=kind) for _ in KEYS)
        (torch.view_as_real(memory) if memory.is_complex() else memory).fill_(1)
        self.state[param].update(zip(KEYS, (average, square, memory), strict=True))
        return self.state[param]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, also that of the same model in another type: half types get the float32 state as it was.

        Raises:
            ShapeError: the state of another model, or of another optimiser; nothing has been loaded.
        """
        load_checked(self, state_dict, self._prepare, self._restore)

    def _prepare(self, saved: Mapping[str, Any]) -> dict[Tensor, dict[str, Tensor]]:
        check_groups(self, saved)
        check_state(self, saved, KEYS)
        return {
            param: {key: state[key].to(param.device, state_dtype(param), copy=True) for key in KEYS}
            for _, param, state in entries(self, saved)
        }

    def _restore(self, states: dict[Tensor, dict[str, Tensor]]) -> None:
        self.state.update(states)  # those of PyTorch have been cast to the types of the weights


def state_dtype(param: Tensor) -> torch.dtype:
    """The type of a weight's state: float32 for half types."""
    return torch.promote_types(param.dtype, torch.float32)


def is_on_gpu(param: Tensor) -> bool:
    """Whether tensors like this one are faster together. A subclass of Tensor may not know lists of itself."""
    return param.is_cuda and type(param) in (Tensor, torch.nn.Parameter)


def check_options(options: Mapping[str, Any], group: int) -> None:
    for name, low in (("lr", "at least 0"), ("eps", "above 0"), ("weight_decay", "at least 0")):
        found = options[name]
        if isinstance(found, Tensor) and found.numel() != 1:
            raise OptionError(f"{name}: found a tensor of {found.numel()} elements, expected a number.")
        if isinstance(found, Tensor) and not found.is_cpu:
            continue  # not waited for
        if not 0 <= found < math.inf or (name == "eps" and found == 0):
            raise OptionError(f"{name} of parameter group {group}: found {found}, expected a finite number {low}.")
