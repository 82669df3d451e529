"""The optimisers that `DenseSparseOptimizer` is made of: making them, and what each gets of a common state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from seqloss.errors import OptionError

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
"""An optimiser's class, or a function that makes one of a list of parameters."""


def make_part(kind: str, make: MakeOptimizer, params: list[nn.Parameter]) -> Optimizer:
    """The optimiser of one kind of gradients."""
    part = make(params)
    if isinstance(part, torch.optim.LBFGS):
        raise OptionError(f"{kind}: LBFGS calls its closure several times in a step and cannot be one of two parts.")
    if not isinstance(part, Optimizer):
        raise OptionError(f"{kind}: found {type(part).__name__}, expected an optimiser's class or a function of one.")
    if {id(param) for group in part.param_groups for param in group["params"]} != set(map(id, params)):
        raise OptionError(f"{kind}: the optimiser must have the parameters that it was given, all and no others.")
    return part


def shared_defaults(first: Optimizer, *others: Optimizer) -> dict[str, Any]:
    """The options that all have, with the values of the first: schedulers look there for momentum and betas."""
    return {key: value for key, value in first.defaults.items() if all(key in other.defaults for other in others)}


def twin(optimizer: Optimizer) -> Optimizer:
    """Another optimiser with the same attributes, which can be given others."""
    other: Optimizer = object.__new__(type(optimizer))
    other.__dict__.update(optimizer.__dict__)
    return other


def share_of(saved: Mapping[str, Any], chosen: Sequence[bool]) -> dict[str, Any]:
    """The state dict of some of the groups, as their optimiser itself would have saved it."""
    groups = [group for group, keep in zip(saved["param_groups"], chosen, strict=True) if keep]
    identities = {identity for group in groups for identity in group["params"]}
    return {
        "state": {key: state for key, state in saved["state"].items() if key in identities},
        "param_groups": [{key: group[key] for key in group if key != "param_shapes"} for group in groups],
    }
