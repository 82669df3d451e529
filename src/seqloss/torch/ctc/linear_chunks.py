"""The CTC loss of a linear layer's output, without the whole output in memory.

The logits of a large vocabulary are the largest tensor of a model: 64 rows of 250 frames and 100,000 classes take 6.4
GB in float32, and their gradient as much again. Here they exist for a few rows at a time:

    logits = hidden W^T + b,    G = d loss / d logits    ->    d hidden = G W,    d W += G^T hidden,    d b += sum G

A row of which even one does not fit is computed in chunks of frames, twice. The first pass leaves the logarithm of each
frame's softmax denominator and the log-probabilities of the classes that the target uses. They suffice for the loss and
the posteriors. The second pass computes the logits again for the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Batch, Infeasible
from seqloss.kernels.ctc.second_derivative import POSTERIOR, SOFTMAX
from seqloss.torch.arrays import COMPUTED_IN
from seqloss.torch.ctc.device_arguments import runs_on_triton
from seqloss.torch.ctc.row_tensors import Options, RowTensors
from seqloss.torch.ctc.rows import compute_rows

TOGETHER = 64 * 2**20
"""Bytes beyond which no further row joins a chunk: products of larger matrices are not faster."""


@dataclass(frozen=True)
class LayerLoss:
    """The arguments that are not tensors of the layer.

    Attributes:
        reduced: whether the losses are added up.
        weights: float64 (batch,), the factor of each loss.
        gradient: whether gradients will be asked for.
    """

    batch: Batch
    infeasible: Infeasible
    reduced: bool
    weights: torch.Tensor
    memory_limit: int
    gradient: bool


class LayerGradients(NamedTuple):
    """The sums of the gradients so far: of hidden (batch, time, features), weight and bias; None where not needed."""

    hidden: torch.Tensor | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None


def new_gradients(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, needed: Any) -> LayerGradients:
    kind = COMPUTED_IN[hidden.dtype]
    return LayerGradients(
        *(
            torch.zeros(x.shape, dtype=kind, device=x.device) if x is not None and wanted else None
            for x, wanted in zip((hidden, weight, bias), needed, strict=False)
        )
    )


def compute_in_chunks(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, call: LayerLoss, weights: torch.Tensor,
    gradients: LayerGradients | None,
) -> torch.Tensor:  # fmt: skip
    """The loss of each row times its weight; adds the gradients of their sum to `gradients`."""
    kind = COMPUTED_IN[hidden.dtype]
    losses = torch.empty(len(hidden), dtype=kind, device=hidden.device)
    buffers: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for rows in _chunks_of_rows(hidden, weight, call):
            part = _Rows(hidden, weight, bias, call, weights, rows, buffers)
            whole = part.bytes_of_logits() <= call.memory_limit
            losses[rows] = (part.compute_at_once if whole else part.compute_by_frames)(gradients)
    if call.infeasible == "raise" and not runs_on_triton(hidden):  # there such rows are NaN, and nothing waits
        closed = losses.isinf().nonzero()
        if len(closed):
            raise contract.infeasible_row(int(closed[0]), call.batch)
    return losses


def _chunks_of_rows(hidden: torch.Tensor, weight: torch.Tensor, call: LayerLoss) -> Iterator[slice]:
    """As many neighbouring rows as fit into the limit, at least one."""
    first = 0
    lengths = call.batch.logit_lengths
    while first < len(hidden):
        many = 1
        while first + many < len(hidden) and (
            _bytes_of_logits(many + 1, int(lengths[first : first + many + 1].max()), weight, hidden)
            <= min(call.memory_limit, TOGETHER)
        ):
            many += 1
        yield slice(first, first + many)
        first += many


def _bytes_of_logits(rows: int, frames: int, weight: torch.Tensor, hidden: torch.Tensor) -> int:
    """Logits and their gradient, in the type that is computed in; for half types also the logits as they come."""
    size = COMPUTED_IN[hidden.dtype].itemsize
    return rows * frames * len(weight) * (2 * size + (hidden.dtype.itemsize if hidden.dtype.itemsize < size else 0))


@dataclass
class _Rows:
    """Some neighbouring rows of a batch; `buffers` keeps memory from one chunk to the next."""

    hidden: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    call: LayerLoss
    weights: torch.Tensor
    rows: slice
    buffers: dict[str, torch.Tensor]

    def __post_init__(self) -> None:
        batch = self.call.batch
        self.lengths = batch.logit_lengths[self.rows]
        self.counts = batch.target_lengths[self.rows]
        self.targets = batch.targets[self.rows]
        self.frames = max(0, min(int(self.lengths.max(initial=0)), self.hidden.shape[1]))
        used = torch.from_numpy(np.arange(self.frames) < self.lengths[:, None])  # torch.arange is on the default device
        inputs = self.hidden[self.rows, : self.frames]
        # 0 times NaN is NaN: padding must not reach the gradient of the weight
        self.inputs = inputs if bool(used.all()) else inputs.masked_fill(~used.to(inputs.device)[:, :, None], 0.0)

    def bytes_of_logits(self) -> int:
        return _bytes_of_logits(len(self.lengths), self.frames, self.weight, self.hidden)

    def options(self, normalize: bool) -> Options:
        gradient = SOFTMAX if normalize else POSTERIOR
        blank = self.call.batch.blank if normalize else 0
        # a chunk does not know a row's number in the batch: `compute_in_chunks` raises
        late = self.call.infeasible == "raise" and not runs_on_triton(self.hidden)
        infeasible: Infeasible = "inf" if late else self.call.infeasible
        return Options("ctc_loss", blank, normalize, infeasible, "none", None, False, gradient)

    def compute_at_once(self, gradients: LayerGradients | None) -> torch.Tensor:
        logits = self._multiply(self.inputs)
        out = None
        if logits.is_cpu and gradients is not None:
            out = self._buffer("gradient", logits.shape, logits.dtype).numpy()
        found = compute_rows(
            logits, self.targets, self.lengths, self.counts, self.options(True), self.weights[self.rows].numpy(),
            gradient=gradients is not None, out=out,
        )  # fmt: skip
        if gradients is not None:
            self._add(gradients, self.inputs, found.gradient, self.rows, 0)
        return found.losses

    def _multiply(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's output, in the type that is computed in; overwritten by the next call."""
        shape = (*inputs.shape[:-1], len(self.weight))
        output = self._buffer("logits", shape, inputs.dtype)
        flat = inputs.reshape(math.prod(shape[:-1]), inputs.shape[-1])
        if self.bias is None:
            torch.mm(flat, self.weight.T, out=output.view(len(flat), shape[-1]))
        else:
            torch.addmm(self.bias, flat, self.weight.T, out=output.view(len(flat), shape[-1]))
        return output.to(COMPUTED_IN[inputs.dtype])

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Memory of an earlier chunk, if there is enough: page faults in new memory take as long as the sums."""
        size = math.prod(shape)
        found = self.buffers.get(name)
        if found is None or found.numel() < size:
            found = self.buffers[name] = torch.empty(size, dtype=dtype, device=self.hidden.device)
        return found[:size].view(shape)

    def _add(
        self, gradients: LayerGradients, inputs: torch.Tensor, of_logits: torch.Tensor, rows: slice, first: int
    ) -> None:
        of_logits = of_logits.to(self.hidden.dtype)
        flat = of_logits.flatten(0, 1)
        if gradients.hidden is not None:
            part = gradients.hidden[rows, first : first + inputs.shape[1]]
            part.copy_((flat @ self.weight).view(part.shape))
        if gradients.weight is not None:
            _add_product(gradients.weight, flat, inputs.flatten(0, 1))
        if gradients.bias is not None:
            gradients.bias.add_(flat.sum(0, dtype=gradients.bias.dtype))

    def compute_by_frames(self, gradients: LayerGradients | None) -> torch.Tensor:
        """The loss of a single row; see the top of the file."""
        device = self.hidden.device
        labels = self.targets[0, : max(0, int(self.counts[0]))]
        blank = self.call.batch.blank
        classes, slots = np.unique(labels, return_inverse=True)
        used = torch.from_numpy(np.concatenate([[blank], classes])).clamp(0, len(self.weight) - 1).to(device)
        parts, denominators = [], []
        for _, logits in self._chunks_of_frames():
            top = logits.amax(1, keepdim=True)
            total = (logits - top).exp_().sum(1, keepdim=True, dtype=torch.float64)
            denominators.append(top.double() + total.log())
            parts.append(logits[:, used].double() - denominators[-1])
        scores = torch.cat(parts)[None] if parts else torch.zeros((1, 0, len(used)), dtype=torch.float64, device=device)
        refused = bool(self.call.batch.blank in labels) or bool(((labels < 0) | (labels >= len(self.weight))).any())
        targets = slots[None] + 1 if not refused else np.full((1, len(labels)), -1)
        found = compute_rows(scores, targets, self.lengths, self.counts, self.options(False))
        if gradients is not None:
            self._add_by_frames(gradients, found, used, denominators)
        return found.losses.to(COMPUTED_IN[self.hidden.dtype]) * float(self.weights[self.rows][0])

    def _add_by_frames(
        self, gradients: LayerGradients, found: RowTensors, used: torch.Tensor, denominators: list[torch.Tensor]
    ) -> None:
        """Compute the logits again; the gradient is softmax less the posteriors of the classes in use."""
        broken = torch.nan if bool(found.losses.isnan()) else 0.0
        first = 0
        for (inputs, logits), denominator in zip(self._chunks_of_frames(), denominators, strict=True):
            frames = slice(first, first + len(logits))
            factor = found.factor[0, frames, None].to(logits.dtype) * float(self.weights[self.rows][0])
            of_logits = (logits - denominator.to(logits.dtype)).exp_()
            of_logits.index_add_(1, used, found.gradient[0, frames].to(logits.dtype)).add_(broken)
            of_logits.mul_(factor).masked_fill_(found.factor[0, frames, None] == 0.0, 0.0)
            self._add(gradients, inputs[None], of_logits[None], self.rows, first)
            first += len(logits)

    def _chunks_of_frames(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Hidden states and logits of as many frames as fit into the limit, at least one."""
        many = max(1, self.call.memory_limit // (2 * _bytes_of_logits(1, 1, self.weight, self.hidden)))
        for inputs in self.inputs[0].split(many):
            yield inputs, self._multiply(inputs)


def _add_product(total: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> None:
    """total += x^T y; in the type of the total."""
    if total.dtype == x.dtype:
        total.addmm_(x.T, y)
    else:
        total += x.T @ y
