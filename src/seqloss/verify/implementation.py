"""`Implementation`: what to verify, and what it supports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from seqloss.errors import OptionError, unknown_option

Blank = Literal["any", "first", "last"]
Lengths = Literal["both", "labels", "none"]
Scores = Literal["logits", "log_probs"]
DTYPES = ("float64", "float32", "float16", "bfloat16")
"""Types of logits that can be verified, the widest first."""


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
        dtypes: supported types of `logits`, the widest first: of "float64", "float32", "float16", "bfloat16".
        blank: which classes can be the blank: "any", "first" or "last".
        lengths: which lengths it takes. "both": of frames and of labels; "labels": all frames are used; "none": all
            frames and labels are used.
        scores: what `logits` are. "logits": scores before softmax; "log_probs": log-probabilities, and the gradient is
            with respect to them.
        gradient: whether it returns a gradient; None to find out.
        zero_infinity: whether infeasible rows have a loss of 0 and a gradient of exactly 0, instead of a loss of inf.
        few_shapes: whether it compiles for each shape: problems are then padded to a few shapes.
        unsupported: names of laws that it is not meant to satisfy, with the reason; `seqloss verify --list` prints
            them.

    Raises:
        OptionError: `blank`, `lengths`, `scores` or a type is unknown, or `unsupported` is no dict. `verify` refuses
            names in it that no law has.

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

    def __post_init__(self) -> None:
        for name, known in (("blank", Blank), ("lengths", Lengths), ("scores", Scores)):
            if getattr(self, name) not in get_args(known):
                raise unknown_option(name, getattr(self, name), get_args(known))
        _check_dtypes(self.dtypes)
        if not isinstance(self.unsupported, Mapping):
            raise OptionError(
                f"unsupported: found {self.unsupported!r}, expected a dict from names of laws to reasons."
            )


def _check_dtypes(found: Any) -> None:
    if isinstance(found, str) or not isinstance(found, Sequence) or not found:
        raise OptionError(f"dtypes: found {found!r}, expected a tuple of names, such as ('float32',).")
    for dtype in found:
        if dtype not in DTYPES:
            raise unknown_option("dtypes", dtype, DTYPES)
