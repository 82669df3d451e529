"""The CTC loss of a linear layer's output, without the whole output in memory.

The logits of a large vocabulary are the largest tensor of a model: 64 rows of 250 frames and 100,000 classes take 6.4
GB in float32, and their gradient as much again. Here they exist for a few rows at a time:

    logits = hidden W^T + b,    G = d loss / d logits    ->    d hidden = G W,    d W += G^T hidden,    d b += sum G

A row of which even one does not fit is computed in chunks of frames, twice. The first pass leaves the logarithm of each
frame's softmax denominator and the log-probabilities of the classes that the target uses. They suffice for the loss and
the posteriors. The second pass computes the logits again for the gradient.

The reduction decides when the gradients are computed. A reduced loss has one upstream gradient, which is a factor of
all gradients. So the forward pass computes them. With reduction="none" the backward pass does, and computes the logits
again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Batch, Infeasible, Reduction
from seqloss.errors import DTypeError, OptionError, ShapeError, wrong_rank
from seqloss.kernels.ctc.second_derivative import POSTERIOR, SOFTMAX
from seqloss.torch._compat import graph_is_kept, has_tangent, is_batched, transforms_are_active
from seqloss.torch.arrays import COMPUTED_IN, IntegerArray, integers_to_numpy
from seqloss.torch.ctc.rows import Options, RowTensors, compute_rows
from seqloss.torch.last_derivative import refuse_derivative
from seqloss.torch.tracing import refuse_tracing, untraced

MEMORY_LIMIT = 256 * 2**20
"""Bytes of logits and of their gradient, by default."""

TOGETHER = 64 * 2**20
"""Bytes beyond which no further row joins a chunk: products of larger matrices are not faster."""


@untraced
def linear_ctc_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> torch.Tensor:
    """Compute the CTC loss of a linear layer's output in chunks, so that the logits never exist as a whole.

        linear_ctc_loss(hidden, W, b, ...) = ctc_loss(hidden W^T + b, ...)

    Use it instead of the last layer and `ctc_loss` for a large vocabulary. The loss and the gradients of hidden, weight
    and bias are those of the two, up to rounding. Under torch.autocast the layer is computed in its type, as
    torch.nn.functional.linear does.

    Args:
        hidden: the input of the layer, shape (batch, time, features), float16, bfloat16, float32 or float64.
        weight: of the layer, shape (classes, features), of the type of `hidden`.
        bias: of the layer, shape (classes,), of the type of `hidden`; None for none.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read, and their gradient is 0.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: as in `ctc_loss`: "none", "sum", "mean", "batch" or "labels". With "none" the backward pass computes
            the logits again; so it does for half types.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True checks labels and lengths. False skips these checks; the result of an invalid row is then NaN.
        memory_limit: bytes for logits and their gradient at a time. At least one frame is computed at once, which takes
            16 bytes for each class.

    Returns:
        The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 `hidden`, on
        the device of `hidden`.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible`, `reduction` or `memory_limit` is invalid, or `denominator` is not positive or is
            given without reduction="sum".
        RuntimeError: the gradient is differentiated again, or the call is inside a torch.func transform, in forward
            mode, or is recorded by a tracer.

    Example:
        >>> import torch
        >>> from seqloss.torch import linear_ctc_loss
        >>> layer = torch.nn.Linear(4, 1000)
        >>> hidden = torch.zeros(1, 2, 4, requires_grad=True)
        >>> with torch.no_grad():
        ...     _ = layer.bias.zero_()
        >>> loss = linear_ctc_loss(hidden, layer.weight, layer.bias, torch.tensor([[1]]), reduction="sum")
        >>> loss  # three of a million equally probable paths leave [1]: 2 log 1000 - log 3
        tensor(12.7169, grad_fn=<_LinearLossesBackward>)
        >>> loss.backward()
        >>> layer.bias.grad[1]  # 2/1000 - 4/3
        tensor(-1.3313)
    """
    contract.check_options(infeasible, reduction, denominator)
    _check_memory_limit(memory_limit)
    if transforms_are_active() or any(isinstance(x, torch.Tensor) and has_tangent(x) for x in (hidden, weight, bias)):
        raise RuntimeError(
            "linear_ctc_loss works in backward alone; use ctc_loss on the layer's output under torch.func's transforms "
            "and in forward mode."
        )
    _check_tensors(hidden, weight, bias)
    refuse_tracing("linear_ctc_loss", hidden)
    hidden, weight, bias = _autocast(hidden, weight, bias)
    _check_types(hidden, weight, bias)
    batch = contract.validate(
        (*hidden.shape[:2], weight.shape[0]), *map(integers_to_numpy, (targets, logit_lengths, target_lengths)),
        blank=blank, values=validate,
    )  # fmt: skip
    batch = replace(  # the caller may change its arrays before backward
        batch, targets=batch.targets.copy(), logit_lengths=batch.logit_lengths.copy(),
        target_lengths=batch.target_lengths.copy(),
    )  # fmt: skip
    weights = np.asarray(contract.reduction_weights(reduction, batch.target_lengths, denominator))
    given = [x for x in (hidden, weight, bias) if x is not None]
    call = _Call(
        batch, infeasible, reduction != "none", torch.from_numpy(weights), memory_limit,
        torch.is_grad_enabled() and any(x.requires_grad for x in given),
    )  # fmt: skip
    losses: torch.Tensor = _LinearLosses.apply(hidden, weight, bias, call)
    return losses


def _check_memory_limit(memory_limit: Any) -> None:
    if isinstance(memory_limit, bool) or not isinstance(memory_limit, int | np.integer) or memory_limit < 1:
        raise OptionError(f"memory_limit: expected a whole number of bytes from 1 on, found {memory_limit!r}.")


def _check_tensors(hidden: Any, weight: Any, bias: Any) -> None:
    for name, x in (("hidden", hidden), ("weight", weight), ("bias", bias)):
        if x is None and name == "bias":
            continue
        if not isinstance(x, torch.Tensor) or x.dtype not in COMPUTED_IN:
            found = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
            raise DTypeError(
                f"{name}: expected a torch.Tensor of float16, bfloat16, float32 or float64, found {found}; the "
                "arguments are (hidden, layer.weight, layer.bias, targets, ...), with bias=None for a layer without."
            )
        if x.device != hidden.device:
            raise RuntimeError(
                f"{name}: found on {x.device}, expected on {hidden.device}, where hidden is; move it there."
            )
    if hidden.ndim != 3:
        raise wrong_rank("hidden", hidden.shape, "(batch, time, features)")
    if weight.ndim != 2 or weight.shape[1] != hidden.shape[2]:
        raise ShapeError(
            f"weight: expected shape (classes, features), with the {hidden.shape[2]} features of hidden, "
            f"found {tuple(weight.shape)}."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"bias: expected shape ({weight.shape[0]},), one for each class, found {tuple(bias.shape)}.")


def _autocast(*layer: torch.Tensor | None) -> tuple[Any, ...]:
    """The layer in the type of torch.autocast, as torch.nn.functional.linear takes it there."""
    device = layer[0].device.type if layer[0] is not None else "cpu"
    if not torch.is_autocast_enabled(device) or any(x is not None and x.dtype == torch.float64 for x in layer):
        return layer
    kind = torch.get_autocast_dtype(device)
    return tuple(None if x is None else x.to(kind) for x in layer)


def _check_types(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.dtype != hidden.dtype:
            raise DTypeError(
                f"{name}: found {x.dtype}, expected {hidden.dtype}, the type of hidden; convert one of the two, or use "
                "torch.autocast."
            )


@dataclass(frozen=True)
class _Call:
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


class _Gradients(NamedTuple):
    """The sums of the gradients so far: of hidden (batch, time, features), weight and bias; None where not needed."""

    hidden: torch.Tensor | None
    weight: torch.Tensor | None
    bias: torch.Tensor | None


class _LinearLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, call: _Call
    ) -> torch.Tensor:
        ctx.call = call
        # of half types in backward: the gradient is rounded after the upstream factor, which may be a loss scale
        now = call.gradient and call.reduced and COMPUTED_IN[hidden.dtype] == hidden.dtype
        gradients = _new_gradients(hidden, weight, bias, ctx.needs_input_grad) if now else None
        losses = _compute(hidden, weight, bias, call, call.weights, gradients)
        if call.gradient:
            ctx.save_for_backward(hidden, weight, bias, *(gradients or ()))
        return losses.sum() if call.reduced else losses

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias, *saved = ctx.saved_tensors
        call: _Call = ctx.call
        batched = is_batched(upstream)
        if has_tangent(upstream) or (batched and not saved):
            raise RuntimeError(
                "linear_ctc_loss works in plain backward alone; use ctc_loss on the layer's output in forward mode and "
                "for batches of gradients (is_grads_batched=True)."
            )
        with torch.no_grad():
            # 0 times inf is NaN: then the rows without a gradient must be computed again
            if saved and (batched or bool(upstream.isfinite())):
                found = [_multiply(x, upstream, graph_is_kept() or batched) for x in saved]
            else:
                gradients = _new_gradients(hidden, weight, bias, ctx.needs_input_grad)
                _compute(hidden, weight, bias, call, call.weights * upstream.cpu().double(), gradients)
                found = list(gradients)
            found = [x if x is None else x.to(hidden.dtype) for x in found]
        if torch.is_grad_enabled():
            arguments = (x for x in (hidden, weight, bias, upstream) if x is not None)
            guards = [refuse_derivative(x, NO_SECOND_DERIVATIVE) for x in arguments]
            found = [x if x is None else _Guarded.apply(x, *guards) for x in found]
        return *found, None


def _multiply(gradient: torch.Tensor | None, upstream: torch.Tensor, kept: bool) -> torch.Tensor | None:
    """The gradient times the upstream gradient, in place unless backward may run again."""
    if gradient is None:
        return None
    if upstream.is_cpu and not kept and upstream.item() == 1.0:
        return gradient
    factor = upstream.to(gradient.dtype)
    return gradient * factor if kept else gradient.mul_(factor)


class _Guarded(torch.autograd.Function):
    """A gradient whose derivative raises: see `refuse_derivative`."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, *guards: torch.Tensor) -> torch.Tensor:
        ctx.shapes = [guard.shape for guard in guards]
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *(upstream.new_zeros(shape) for shape in ctx.shapes)


NO_SECOND_DERIVATIVE = (
    "linear_ctc_loss has no second derivative: its gradient was taken with create_graph=True and is now being "
    "differentiated; use ctc_loss on the layer's output, which has one, or detach that gradient."
)


def _new_gradients(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, needed: Any) -> _Gradients:
    kind = COMPUTED_IN[hidden.dtype]
    return _Gradients(
        *(
            torch.zeros(x.shape, dtype=kind, device=x.device) if x is not None and wanted else None
            for x, wanted in zip((hidden, weight, bias), needed, strict=False)
        )
    )


def _compute(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, call: _Call, weights: torch.Tensor,
    gradients: _Gradients | None,
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
    return losses


def _chunks_of_rows(hidden: torch.Tensor, weight: torch.Tensor, call: _Call) -> Iterator[slice]:
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
    call: _Call
    weights: torch.Tensor
    rows: slice
    buffers: dict[str, torch.Tensor]

    def __post_init__(self) -> None:
        batch = self.call.batch
        self.lengths = batch.logit_lengths[self.rows]
        self.counts = batch.target_lengths[self.rows]
        self.targets = batch.targets[self.rows]
        self.frames = max(0, min(int(self.lengths.max(initial=0)), self.hidden.shape[1]))
        used = torch.arange(self.frames) < torch.from_numpy(self.lengths)[:, None]
        inputs = self.hidden[self.rows, : self.frames]
        # 0 times NaN is NaN: padding must not reach the gradient of the weight
        self.inputs = inputs if bool(used.all()) else inputs.masked_fill(~used.to(inputs.device)[:, :, None], 0.0)

    def bytes_of_logits(self) -> int:
        return _bytes_of_logits(len(self.lengths), self.frames, self.weight, self.hidden)

    def options(self, normalize: bool) -> Options:
        gradient = SOFTMAX if normalize else POSTERIOR
        blank = self.call.batch.blank if normalize else 0
        return Options("ctc_loss", blank, normalize, self.call.infeasible, "none", None, False, gradient)

    def compute_at_once(self, gradients: _Gradients | None) -> torch.Tensor:
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
        self, gradients: _Gradients, inputs: torch.Tensor, of_logits: torch.Tensor, rows: slice, first: int
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

    def compute_by_frames(self, gradients: _Gradients | None) -> torch.Tensor:
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
        self, gradients: _Gradients, found: RowTensors, used: torch.Tensor, denominators: list[torch.Tensor]
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
