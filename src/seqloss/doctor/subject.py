"""What is examined: a model with its loss, called in a way that can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from seqloss.doctor.batches.rows import BatchRows, find_rows
from seqloss.doctor.snapshot import ModuleState, RandomState, random_states, seed_all
from seqloss.doctor.training_data import TrainingData
from seqloss.errors import ShapeError, wrong_dtype

Loss = Callable[[nn.Module, Any], Any]
Change = Callable[[str, Tensor], Tensor]

DRY_STEP = 0.01
"""The largest change of a weight by a dry step."""


class NotChecked(Exception):
    """A law says nothing about this training; the message says why."""


class LossShapeError(ShapeError, TypeError):
    """The loss has not exactly one number; also a TypeError, as a `DTypeError` for a loss that is no tensor is."""


class Outputs(dict[str, Tensor]):
    """Tensors that a model returned, by name.

    Attributes:
        in_half: whether a layer computed in half precision, also where the model returns float32.
    """

    in_half = False


@dataclass(frozen=True)
class Call:
    """One call of the loss.

    Attributes:
        loss: a scalar, with its graph.
        outputs: tensors that the model returned, by name, with their graph; empty if the model was not called. Those of
            a second call of the model in one loss are named call 2, and so on.
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
        data: what the laws of data look at, beside these.
        begin: what each call begins with, whatever the call before did to a hidden state or to statistics.
    """

    model: nn.Module
    batches: Sequence[Any]
    loss: Loss
    optimizer: torch.optim.Optimizer | None = None
    scheduler: Any = None
    steps: int | None = None
    data: TrainingData = field(default_factory=TrainingData)
    begin: ModuleState | None = None
    _rows: BatchRows | None = None

    def rows(self, least: int = 1) -> BatchRows:
        """The rows of the first batch.

        Raises:
            NotChecked: it has fewer, or none that can be recognised.
        """
        try:
            found = self._rows = self._rows or BatchRows(self.batches[0])
        except ValueError as error:
            raise NotChecked(str(error)) from None
        if found.count < least:
            raise NotChecked("the first batch has one row")
        return found

    def rows_of_batches(self) -> list[BatchRows]:
        """The rows of the first batch, and of all other batches whose rows are recognised.

        Raises:
            NotChecked: as `rows`.
        """
        others = (find_rows(batch) for batch in self.data.batches if batch is not self.batches[0])
        return [self.rows(), *(rows for rows in others if rows is not None)]

    def call(
        self,
        batch: Any,
        *,
        train: bool = False,
        dropout: bool = True,
        seed: int | None = 0,
        model_seed: int | None = None,
        change: Change | None = None,
        statistics: bool = False,
    ) -> Call:
        """Call the loss, always with the same random numbers.

        Args:
            batch: as the loss takes it.
            train: the model's mode.
            dropout: whether dropout layers follow the mode; otherwise they are in evaluation mode.
            seed: of dropout and the like; None to draw from the states as they are.
            model_seed: another one within the model, while the loss draws the same numbers.
            change: (name, output) to what the loss gets in its place.
            statistics: whether layers that take statistics of the batch are in training mode in any case.
        """
        if self.begin is not None:
            self.begin.restore()
        self.model.train(train)
        for module in self.model.modules() if statistics else ():
            module.training = module.training or _takes_statistics(module)
        if not dropout:
            without_dropout(self.model)
        with nullcontext() if seed is None else random_states(seed), self._outputs(change, model_seed) as outputs:
            found = self.loss(self.model, batch)
        return Call(first_tensor(found), outputs)

    def call_and_see(self, batch: Any) -> Call:
        """The same in evaluation mode, for laws of outputs.

        Raises:
            NotChecked: the loss does not call the model itself.
        """
        found = self.call(batch)
        if not found.outputs:
            raise NotChecked("the loss does not call the model itself, so that its outputs are not seen")
        return found

    def outputs_before_loss(self, batch: Any) -> Mapping[str, Tensor]:
        """The outputs for a batch that the loss itself may refuse; empty if the model refuses it."""
        self.model.eval()
        with random_states(0), self._outputs(None) as outputs, suppress(Exception):
            self.loss(self.model, batch)
        return outputs

    def step_dry(self) -> None:
        """Move all weights that have a gradient by a small step: an output that is initialised with 0 is then none.

        Only within `unchanged`, which puts the weights back.
        """
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        for batch in self.batches:
            with torch.enable_grad():
                loss = self.call(batch).loss
                if not loss.requires_grad or not weights:
                    return
                found = torch.autograd.grad(loss, weights, allow_unused=True)
            for weight, gradient in zip(weights, found, strict=True):
                dense = None if gradient is None else gradient.detach().to_dense().nan_to_num()
                if dense is not None and dense.any():
                    weight.detach().sub_(DRY_STEP * dense / dense.abs().max())

    def value_with(self, batch: Any, outputs: Mapping[str, Tensor]) -> float:
        """The loss of a batch with given outputs in place of the model's."""
        return self.call(batch, change=lambda name, x: outputs.get(name, x)).value

    @contextmanager
    def _outputs(self, change: Change | None, seed: int | None = None) -> Iterator[Outputs]:
        seen = Outputs()
        calls = count(1)
        states: list[RandomState] = []

        def begin(module: nn.Module, inputs: Any) -> None:
            states.append(RandomState())
            seed_all(seed or 0)

        def keep(module: nn.Module, inputs: Any, output: Any) -> Any:
            number = next(calls)
            if states:
                states.pop().restore()
            return _map_outputs(f"call {number}" if number > 1 else "", output, seen, change)

        def note_type(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.in_half |= isinstance(output, Tensor) and output.dtype in (torch.float16, torch.bfloat16)

        with ExitStack() as hooks:
            if seed is not None:
                hooks.enter_context(self.model.register_forward_pre_hook(begin))
            hooks.enter_context(self.model.register_forward_hook(keep))
            for module in self.model.modules():
                hooks.enter_context(module.register_forward_hook(note_type))
            yield seen


def _takes_statistics(module: nn.Module) -> bool:
    """A batch norm, or a layer of one's own with running statistics."""
    return isinstance(module, nn.modules.batchnorm._NormBase) or any(
        name.startswith("running") for name in module._buffers
    )


def without_dropout(model: nn.Module) -> None:
    """Set dropout layers of a model in training mode to evaluation, and layers with a dropout of their own."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd | nn.MultiheadAttention | nn.RNNBase):
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


def first_tensor(found: Any) -> Tensor:
    """The scalar that a loss returned, alone or at the beginning of a tuple or mapping."""
    return first_entry(found).reshape(())


def first_entry(found: Any) -> Tensor:
    """The same as the very tensor that was returned, which can have an axis of one entry.

    Raises:
        ShapeError: it has not exactly one number, or there is none.
        DTypeError: no tensor.
    """
    if isinstance(found, Mapping | tuple | list):
        if not found:
            raise LossShapeError(
                f"loss: found an empty {type(found).__name__}, expected one that begins with the loss."
            )
        if isinstance(found, Mapping):
            found = found["loss"] if "loss" in found else next(iter(found.values()))
        else:
            found = found[0]
    if not isinstance(found, Tensor):
        advice = "look for a missing `return`" if found is None else "return it without .item() or float()"
        raise wrong_dtype("loss", type(found).__name__, "a tensor with one number", advice)
    if found.numel() != 1:
        raise LossShapeError(
            f"loss: found shape {tuple(found.shape)}, expected a tensor with one number; return the mean or the sum."
        )
    return found
