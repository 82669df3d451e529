"""`Implementation`: what to verify, and what it supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Blank = Literal["any", "first", "last"]
Lengths = Literal["both", "labels", "none"]
Scores = Literal["logits", "log_probs"]


@dataclass(frozen=True)
class Implementation:
    """A CTC function on NumPy arrays, and what it supports.

    The function is called as `f(logits, targets, logit_lengths, target_lengths, blank)`. It returns the losses
    `(batch,)`, or `(losses, gradient)`, where the gradient is that of the sum of the losses with respect to `logits`.
    If it has an argument `upstream (batch,)`, with the default None for 1, it must multiply the gradient of each row by
    it.

    Attributes:
        name: shown in reports; also the name on the command line.
        source: "package.module:function", "file.py:function", or the function itself.
        packages: distributions that it needs. If one is not installed, the implementation is skipped.
        environment: variables that are set before anything is imported.
        dtypes: supported types of `logits`, the widest first.
        blank: which classes can be the blank.
        lengths: which lengths it takes. "labels": all frames are used; "none": all frames and labels are used.
        scores: what `logits` are. "log_probs": log-probabilities, and the gradient is with respect to them.
        gradient: whether it returns a gradient; None to find out.
        zero_infinity: whether infeasible rows have a loss of 0 and a gradient of exactly 0, instead of a loss of inf.
        few_shapes: whether it compiles for each shape: problems are then padded to a few shapes.
        unsupported: names of laws that it is not meant to satisfy, with the reason.

    Example:
        >>> mine = Implementation("mine", "mine.py:ctc", dtypes=("float32",), blank="first")
        >>> mine.lengths
        'both'
    """

    name: str
    source: str | Callable[..., Any]
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float64", "float32")
    blank: Blank = "any"
    lengths: Lengths = "both"
    scores: Scores = "logits"
    gradient: bool | None = None
    zero_infinity: bool = False
    few_shapes: bool = False
    unsupported: Mapping[str, str] = field(default_factory=dict)
