"""Losses and gradients of a batch of tensors, without autograd: by the CPU kernel, or by the Triton kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from seqloss import contract, errors
from seqloss.contract import Batch, Infeasible, Reduction
from seqloss.kernels.ctc.batch import add_exponentials
from seqloss.kernels.ctc.second_derivative import EXP, SOFTMAX
from seqloss.numpy.ctc import rows as host
from seqloss.numpy.ctc.rows import Rows
from seqloss.torch.arrays import IntegerArray, integers_to_numpy, read_host_arguments
from seqloss.torch.ctc import device_arguments, gpu


class Options(NamedTuple):
    """The arguments of a loss that are not tensors.

    Attributes:
        name: of the public function, for messages.
        blank, normalize, infeasible, reduction, denominator, validate: see `seqloss.torch.ctc_loss`.
        gradient: SOFTMAX, POSTERIOR or EXP of `seqloss.kernels.ctc.second_derivative`.
        groups: the number of batches that vmap has merged; each is reduced for itself.
    """

    name: str
    blank: int
    normalize: bool
    infeasible: Infeasible
    reduction: Reduction
    denominator: float | None
    validate: bool
    gradient: int
    groups: int = 1


class RowTensors(NamedTuple):
    """Losses and gradients of a batch, each times the row's weight in the reduction.

    Attributes:
        losses: (batch,), float32 or float64.
        gradient: (batch, time, classes), of the type of `losses`; or without entries.
        factor: (batch, time), of the type of `losses`: the row's weight; 0 where the gradient is 0 for any upstream
            gradient, which is in frames past the length of a row, and in rows without a path.
        integers: int64 (batch, 2 + labels): the frames in use, the labels in use, and the labels of each row.
    """

    losses: torch.Tensor
    gradient: torch.Tensor
    factor: torch.Tensor
    integers: torch.Tensor


def compute_rows(
    logits: torch.Tensor, targets: IntegerArray, logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None, options: Options, weights: np.ndarray | None = None, *, gradient: bool = True,
    out: np.ndarray | None = None,
) -> RowTensors:  # fmt: skip
    """Losses, and with `gradient` gradients, by the kernels for the device of the logits; the arguments are checked.

    Args:
        weights: (batch,), instead of those of the reduction.
        out: memory for the gradient on a CPU, see `seqloss.kernels.ctc.batch.loss_and_grad`.
    """
    if device_arguments.runs_on_triton(logits):
        return _compute_rows_on_gpu(logits, targets, logit_lengths, target_lengths, options, weights)
    found = compute_host_rows(
        logits, targets, logit_lengths, target_lengths, options, weights, gradient=gradient, out=out
    )
    return found.tensors(logits.device)


@dataclass(frozen=True)
class HostRows:
    """What the CPU kernel has computed.

    Attributes:
        rows: losses, without weights; gradient, times the weights.
        batch: the checked arguments.
        weights: (batch,), the weight of each row in the reduction; None for 1.
    """

    rows: Rows
    batch: Batch
    weights: np.ndarray | None

    def tensors(self, device: torch.device) -> RowTensors:
        losses, gradient = self.rows.losses, self.rows.gradient
        factor = (~self.rows.zero_gradient).astype(losses.dtype)
        if self.weights is not None:
            with np.errstate(all="ignore"):  # an infinite loss, a weight of 0
                losses, factor = losses * self.weights, factor * self.weights[:, None]
        integers = np.column_stack([self.batch.logit_lengths, self.batch.target_lengths, self.batch.targets])
        gradient = losses[:0] if gradient is None else gradient
        return RowTensors(*(torch.from_numpy(array).to(device) for array in (losses, gradient, factor, integers)))


def compute_host_rows(
    logits: torch.Tensor, targets: IntegerArray, logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None, options: Options, weights: np.ndarray | None = None, *, gradient: bool = True,
    out: np.ndarray | None = None,
) -> HostRows:  # fmt: skip
    """Losses, and with `gradient` gradients, by the CPU kernel; the arguments are checked."""
    _check_concatenated(targets, target_lengths, options.groups)
    exp = options.gradient == EXP
    values, batch = read_host_arguments(
        options.name, logits, targets, logit_lengths, target_lengths, blank=options.blank,
        normalize=options.normalize or exp,  # the scores of CTCLoss need not be log-probabilities
        validate=options.validate,
    )  # fmt: skip
    if gradient:  # derivatives are computed later, when the caller may have changed its arrays
        batch = replace(
            batch, targets=batch.targets.copy(), logit_lengths=batch.logit_lengths.copy(),
            target_lengths=batch.target_lengths.copy(),
        )  # fmt: skip
    weights = _weights(batch, options, values.dtype) if weights is None else weights.astype(values.dtype)
    rows = host.compute_rows(
        values, batch, normalize=options.normalize, softmax=options.gradient == SOFTMAX,
        infeasible=options.infeasible, gradient=gradient, out=out, weights=None if exp else weights,
    )  # fmt: skip
    if exp and gradient:
        assert rows.gradient is not None
        frames = (~rows.zero_gradient).sum(axis=1)  # those in use come first
        add_exponentials(values, batch, rows.gradient, frames, weights)
    return HostRows(rows, batch, weights)


def _check_concatenated(targets: Any, target_lengths: Any, groups: int) -> None:
    """Under vmap each batch has its own concatenated targets: no label may move from one batch to the next.

    Raises:
        LengthError: the lengths of a batch do not add up to its labels.
    """
    if groups == 1 or np.ndim(targets) != 1 or target_lengths is None:
        return
    labels = len(targets) // groups
    for counts in np.split(np.asarray(integers_to_numpy(target_lengths)), groups):
        if counts.sum() != labels:
            raise errors.uneven_concatenation(int(counts.sum()), labels)


def _weights(batch: Batch, options: Options, kind: np.dtype) -> np.ndarray | None:
    """The weight of each row in the reduction of its own batch; None for 1."""
    if options.reduction == "none":
        return None
    if options.groups <= 1:
        return contract.reduction_weights(options.reduction, batch.target_lengths, options.denominator).astype(kind)
    weights = [
        contract.reduction_weights(options.reduction, lengths, options.denominator)
        for lengths in np.split(batch.target_lengths, options.groups)
    ]
    return np.concatenate(weights).astype(kind)


def _compute_rows_on_gpu(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, options: Options,
    given_weights: np.ndarray | None,
) -> RowTensors:  # fmt: skip
    """Losses and gradients by the Triton kernels. Nothing waits for the device."""
    from seqloss.kernels.triton.ctc import pipeline

    if options.groups > 1 and isinstance(targets, torch.Tensor) and targets.ndim == 1:  # each batch has its own
        pairs = zip(targets.chunk(options.groups), target_lengths.chunk(options.groups), strict=True)
        padded = [device_arguments.pad_rows(*pair, logits.shape[1]) for pair in pairs]
        targets, target_lengths = (torch.cat(parts) for parts in zip(*padded, strict=True))
    given = device_arguments.read_device_arguments(
        logits, targets, logit_lengths, target_lengths, blank=options.blank, validate=options.validate
    )
    gpu.refuse(
        options.name, logits, given, normalize=options.normalize, infeasible=options.infeasible,
        validate=options.validate and options.gradient != EXP,
    )  # fmt: skip
    logits = logits.detach().resolve_neg()
    slack = gpu.slack(logits, options.normalize or options.gradient == EXP, options.validate)
    found, residuals = pipeline.forward(
        logits, *given[:3], blank=given.blank, normalize=options.normalize,
        infeasible=gpu.INFEASIBLE[options.infeasible], rounding=slack, gradient=True,
    )  # fmt: skip
    assert residuals is not None
    if given_weights is None:
        weights = _device_weights(logits, given, options)
    else:
        weights = torch.from_numpy(given_weights.astype(np.float32)).to(logits.device, non_blocking=True)
    gradient = pipeline.backward(
        logits, residuals, weights, blank=given.blank, mode=options.gradient, dtype=torch.float32
    )
    unused = torch.arange(logits.shape[1], device=logits.device) >= residuals.frames[:, None]
    closed = unused | (residuals.status == gpu.INFEASIBLE_STATUS)[:, None]
    factor = weights[:, None].masked_fill(closed, 0.0)
    return RowTensors(found.losses * weights, gradient, factor, pack_integers(logits, given))


def pack_integers(logits: torch.Tensor, given: device_arguments.Given) -> torch.Tensor:
    """The frames in use, the labels in use, and the labels of each row; see `RowTensors`."""
    sizes = (logits.shape[1], given.targets.shape[1])
    lengths = [_lengths(x, size, logits) for x, size in zip(given[1:3], sizes, strict=True)]
    return torch.cat([*(x[:, None] for x in lengths), given.targets.to(torch.int64)], 1)


def _lengths(lengths: torch.Tensor | None, whole: int, logits: torch.Tensor) -> torch.Tensor:
    """Lengths as int64; the size of the axis where none are given."""
    if lengths is None:
        return torch.full((logits.shape[0],), whole, dtype=torch.int64, device=logits.device)
    return lengths.to(torch.int64)


def _device_weights(logits: torch.Tensor, given: device_arguments.Given, options: Options) -> torch.Tensor:
    rows = logits.shape[0] // options.groups
    counts = _lengths(given.label_counts, given.targets.shape[1], logits).reshape(options.groups, rows)
    divisor = contract.reduction_divisor(
        options.reduction, counts.float(), rows, options.denominator, maximum=_maximum,
        total=lambda x: x.sum(1, keepdim=True),
    )  # fmt: skip
    ones = torch.ones((options.groups, rows), device=logits.device)
    return (ones / divisor).reshape(-1)


def _maximum(x: Any, least: int) -> Any:
    return x.clamp(min=least) if isinstance(x, torch.Tensor) else max(x, least)
