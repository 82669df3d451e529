"""How the same arrays may be handed over: other strides, narrower integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Form:
    """One way to hand arrays over.

    Attributes:
        words: what is unusual about it.
        apply: makes it of plain arrays, by the names of a call's arguments.
        lines: the same of `logits`, `targets`, `frames` and `labels`, as lines of Python.
    """

    words: str
    apply: Callable[[Arrays], Arrays]
    lines: tuple[str, ...]


def _time_first(arrays: Arrays) -> Arrays:
    return arrays | {"logits": np.ascontiguousarray(arrays["logits"].swapaxes(0, 1)).swapaxes(0, 1)}


def _with_gaps(arrays: Arrays) -> Arrays:
    return arrays | {name: np.repeat(arrays[name], 2, axis=-1)[..., ::2] for name in ("logits", "targets")}


def _int32(arrays: Arrays) -> Arrays:
    return arrays | {name: array.astype(np.int32) for name, array in arrays.items() if array.dtype == np.int64}


FORMS = {
    "time first": Form(
        "logits that lie in memory time first",
        _time_first,
        ("logits = np.ascontiguousarray(logits.swapaxes(0, 1)).swapaxes(0, 1)  # the same numbers, other strides",),
    ),
    "gaps": Form(
        "logits and targets that are every other column of a wider array",
        _with_gaps,
        ("logits, targets = (np.repeat(x, 2, axis=-1)[..., ::2] for x in (logits, targets))  # other strides",),
    ),
    "int32": Form(
        "targets and lengths of int32",
        _int32,
        ("targets, frames, labels = (x.astype(np.int32) for x in (targets, frames, labels))  # the same numbers",),
    ),
}
