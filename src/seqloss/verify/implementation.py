"""What is verified: where an implementation is found, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Blank = Literal["any", "first", "last"]
Lengths = Literal["both", "labels", "none"]
Scores = Literal["logits", "log_probs"]


@dataclass(frozen=True)
class Implementation:
    """An implementation `f(logits, targets, logit_lengths, target_lengths, blank)` on NumPy arrays.

    It returns `loss (batch,)`, or `(loss, gradient)` with the gradient of the losses' sum by `logits`. If it has an
    argument `upstream` (batch,), the gradient is that of the losses weighted by it.

    Attributes:
        name: as it is told, and as it is asked for on the command line.
        source: "package.module:function", "file.py:function", or the function itself.
        packages: distributions that it needs; their versions are told, and if one is missing it is skipped.
        environment: variables set before anything is imported.
        dtypes: what `logits` may be, the widest first.
        blank: which classes may be the blank.
        lengths: which lengths it can be told; rows without are always full.
        scores: what it takes `logits` for. "log_probs": scores are normalised before the call, and the gradient is
            that by the log-probabilities, minus the posterior.
        gradient: whether it returns one; None to find out by asking.
        few_shapes: whether each new shape costs it a compilation: time and labels are then padded to a few sizes.
        not_promised: laws that nobody promised, and why.
    """

    name: str
    source: str | Callable
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float64", "float32")
    blank: Blank = "any"
    lengths: Lengths = "both"
    scores: Scores = "logits"
    gradient: bool | None = None
    few_shapes: bool = False
    not_promised: Mapping[str, str] = field(default_factory=dict)
