"""The CTC loss of a linear layer's output, without the whole output in memory: see `linear_chunks.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.errors import DTypeError, OptionError, ShapeError, wrong_rank
from seqloss.torch._compat import has_tangent, transforms_are_active
from seqloss.torch.arrays import COMPUTED_IN, IntegerArray, integers_to_numpy
from seqloss.torch.ctc.linear_autograd import LinearLosses
from seqloss.torch.ctc.linear_chunks import LayerLoss
from seqloss.torch.tracing import refuse_tracing, untraced

MEMORY_LIMIT = 256 * 2**20
"""Bytes of logits and of their gradient, by default."""


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

    Labels and lengths that are stored on a GPU are copied to the host, which waits for the device.

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
        tensor(12.7169, grad_fn=<LinearLossesBackward>)
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
    batch = batch.copy()  # the caller may change its arrays before backward
    weights = np.asarray(contract.reduction_weights(reduction, batch.target_lengths, denominator))
    given = [x for x in (hidden, weight, bias) if x is not None]
    call = LayerLoss(
        batch, infeasible, reduction != "none", torch.from_numpy(weights), memory_limit,
        torch.is_grad_enabled() and any(x.requires_grad for x in given),
    )  # fmt: skip
    losses: torch.Tensor = LinearLosses.apply(hidden, weight, bias, call)
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
