"""What is examined: a model with its loss, called in a way that can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.batch_rows import BatchRows
from seqloss.doctor.snapshot import random_states

Loss = Callable[[nn.Module, Any], Any]
Change = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True)
class Call:
    """One call of the loss.

    Attributes:
        loss: a scalar, with its graph.
        outputs: tensors that the model returned, by name, with their graph; empty if the model was not called.
    """

    loss: Tensor
    outputs: Mapping[str, Tensor]

    @property
    def value(self) -> float:
        return float(self.loss.detach())


@dataclass
class Subject:
    """A training before its first step.

    Attributes:
        model: the module.
        batches: the first few batches.
        loss: (model, batch) to a scalar, or to a tuple or mapping that begins with it.
        optimizer: of the training.
        scheduler: of the learning rate.
        steps: of the whole training.
    """

    model: nn.Module
    batches: Sequence[Any]
    loss: Loss
    optimizer: torch.optim.Optimizer | None = None
    scheduler: Any = None
    steps: int | None = None
    _rows: dict[int, BatchRows] = field(default_factory=dict)

    def rows(self, number: int = 0) -> BatchRows:
        """The rows of a batch."""
        if number not in self._rows:
            self._rows[number] = BatchRows(self.batches[number])
        return self._rows[number]

    def call(self, batch: Any, *, train: bool = False, seed: int = 0, change: Change | None = None) -> Call:
        """Call the loss, always with the same random numbers.

        Args:
            batch: as the loss takes it.
            train: the model's mode.
            seed: of dropout and the like.
            change: (name, output) to what the loss gets in its place.
        """
        self.model.train(train)
        with random_states(seed), self._outputs(change) as outputs:
            found = self.loss(self.model, batch)
        return Call(_first_tensor(found), dict(outputs))

    @contextmanager
    def _outputs(self, change: Change | None) -> Iterator[dict[str, Tensor]]:
        seen: dict[str, Tensor] = {}

        def keep(module: nn.Module, inputs: Any, output: Any) -> Any:
            seen.clear()
            return _map_outputs("", output, seen, change)

        handle = self.model.register_forward_hook(keep)
        try:
            yield seen
        finally:
            handle.remove()


def without_dropout(model: nn.Module) -> None:
    """Set dropout layers of a model in training mode to evaluation."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()


def _map_outputs(name: str, output: Any, seen: dict[str, Tensor], change: Change | None) -> Any:
    if isinstance(output, Tensor):
        found = change(name or "output", output) if change else output
        seen[name or "output"] = found
        return found
    if isinstance(output, Mapping):
        changed = {key: _map_outputs(_join(name, key), value, seen, change) for key, value in output.items()}
        return output if change is None else changed if type(output) is dict else type(output)(**changed)
    if isinstance(output, tuple | list):
        parts = [_map_outputs(_join(name, n), value, seen, change) for n, value in enumerate(output)]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return output


def _join(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


def _first_tensor(found: Any) -> Tensor:
    if isinstance(found, Mapping):
        found = found["loss"] if "loss" in found else next(iter(found.values()))
    elif isinstance(found, tuple | list):
        found = found[0]
    if not isinstance(found, Tensor) or found.numel() != 1:
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise TypeError(f"loss: found {what}, expected a tensor with one number; return the mean or the sum.")
    return found.reshape(())
