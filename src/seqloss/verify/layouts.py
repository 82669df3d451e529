"""Other memory layouts of the same arrays: strides and integer types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """One memory layout.

    Attributes:
        description: of the difference from C-contiguous float and int64 arrays.
        apply: converts the arguments of a call, by name.
        lines: the same conversion as Python code for a script, with `logits`, `targets`, `frames` and `labels`.
    """

    description: str
    apply: Callable[[Arrays], Arrays]
    lines: tuple[str, ...]


def _time_first(arrays: Arrays) -> Arrays:
    return arrays | {"logits": np.ascontiguousarray(arrays["logits"].swapaxes(0, 1)).swapaxes(0, 1)}


def _with_gaps(arrays: Arrays) -> Arrays:
    return arrays | {name: np.repeat(arrays[name], 2, axis=-1)[..., ::2] for name in ("logits", "targets")}


def _int32(arrays: Arrays) -> Arrays:
    return arrays | {name: array.astype(np.int32) for name, array in arrays.items() if array.dtype == np.int64}


LAYOUTS = {
    "time first": Layout(
        "logits that are contiguous with time first",
        _time_first,
        ("logits = np.ascontiguousarray(logits.swapaxes(0, 1)).swapaxes(0, 1)  # equal values, other strides",),
    ),
    "gaps": Layout(
        "logits and targets that are every other column of a wider array",
        _with_gaps,
        ("logits, targets = (np.repeat(x, 2, axis=-1)[..., ::2] for x in (logits, targets))  # other strides",),
    ),
    "int32": Layout(
        "int32 targets and lengths",
        _int32,
        ("targets, frames, labels = (x.astype(np.int32) for x in (targets, frames, labels))  # equal values",),
    ),
}
