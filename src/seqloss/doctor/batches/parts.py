"""The parts of any batch: tensors, tuples, dicts, dataclasses, and what they hold."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

Path = tuple[Any, ...]
"""Keys, indices and field names that lead to a part of a batch."""


def map_batch(batch: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """A batch of the same kind, each of its parts changed; the batch itself stays as it is.

    A part is a tensor, packed rows, a list of what is no tensor, or anything that is no container of tensors.

    Args:
        batch: tensors in any containers.
        change: (path, part) to what takes its place.
        path: of the batch itself.
    """
    if isinstance(batch, Tensor | PackedSequence) or _is_list_of_values(batch):
        return change(path, batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in dataclasses.fields(batch) if field.init]
        return dataclasses.replace(
            batch, **{name: map_batch(getattr(batch, name), change, (*path, name)) for name in names}
        )
    if isinstance(batch, Mapping):
        return _like(batch, {key: map_batch(value, change, (*path, key)) for key, value in batch.items()})
    if isinstance(batch, tuple | list):
        parts = [map_batch(value, change, (*path, n)) for n, value in enumerate(batch)]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return change(path, batch)


def _like(batch: Mapping[Any, Any], found: dict[Any, Any]) -> Any:
    """A mapping of the same kind; one that can be changed is copied, since its constructor may take something else."""
    if type(batch) is dict:
        return found
    if not isinstance(batch, MutableMapping):
        return type(batch)(found)  # type: ignore[call-arg]
    new = copy.copy(batch)
    new.update(found)
    return new


def own_parts(batch: Any) -> Any:
    """The same batch with containers, tensors and arrays of its own, which a loss may change; gradients go through."""
    kinds = (Tensor, np.ndarray, list, dict, set)
    return map_batch(batch, lambda _, part: part.clone() if isinstance(part, Tensor) else
                     copy.copy(part) if isinstance(part, kinds) else part)  # fmt: skip


def _is_list_of_values(batch: Any) -> bool:
    """Such as texts, words of rows, or a dict of tensors for each row: one entry for each row. `zip` makes tuples."""
    if type(batch) is tuple and len(batch) > 1 and all(isinstance(one, str | int | float) for one in batch):
        return True
    if not isinstance(batch, list) or any(isinstance(one, Tensor) for one in batch):
        return False
    return any(isinstance(one, Mapping) for one in batch) or not any(map(_holds_tensors, batch))


def _holds_tensors(found: Any) -> bool:
    return isinstance(found, Tensor) or (isinstance(found, tuple | list) and any(map(_holds_tensors, found)))


def parts_of(batch: Any) -> dict[Path, Any]:
    """All parts, by path."""
    found: dict[Path, Any] = {}

    def keep(path: Path, part: Any) -> Any:
        found[path] = part
        return part

    map_batch(batch, keep)
    return found


def replace_parts(batch: Any, new: Mapping[Path, Any]) -> Any:
    """A batch with other parts at some paths.

    Args:
        batch: tensors in any containers; it stays as it is.
        new: path of a part -> what takes its place.
    """
    return map_batch(batch, lambda path, part: new.get(path, part))


def name_part(path: Path) -> str:
    """The path of a part of a batch in a word."""
    return ".".join(map(str, path)) or "batch"
