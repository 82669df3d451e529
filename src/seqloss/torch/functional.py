"""A replacement for `torch.nn.functional.ctc_loss`, with its arguments, value and gradient."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch

from seqloss.contract import Infeasible
from seqloss.errors import SeqLossError, unknown_option, wrong_dtype, wrong_rank
from seqloss.kernels.ctc.second_derivative import EXP
from seqloss.torch.arrays import IntegerArray
from seqloss.torch.ctc.argument_names import torch_argument_names
from seqloss.torch.ctc.dispatch import compute_losses
from seqloss.torch.ctc.row_tensors import Options
from seqloss.torch.runtime_errors import as_runtime_error
from seqloss.torch.tracing import recorded_by_fx

__all__ = ["ctc_loss"]

TorchReduction = Literal["none", "mean", "sum"]
REDUCTIONS = get_args(TorchReduction)
Lengths: TypeAlias = IntegerArray | int
"""One length for each row; a number for a single row."""


@recorded_by_fx
def ctc_loss(
    log_probs: torch.Tensor,
    targets: IntegerArray,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: TorchReduction = "mean",
    zero_infinity: bool = False,
) -> torch.Tensor:
    """Replace torch.nn.functional.ctc_loss: the same arguments, value and gradient.

        loss = -log sum_{paths pi of the target} prod_t exp(log_probs[t, pi_t])

    The gradient is exp(log_probs) - posterior, that of the scores before log_softmax, as in torch. `CTCLoss` says when
    it is right, and lists the deliberate differences from torch.

    Args:
        log_probs: log-probabilities, shape (time, batch, classes), or (time, classes) for a single row; float16,
            bfloat16, float32 or float64.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,); or (labels,) for a single row.
        input_lengths: number of frames in use of each row, integers: a tensor, list or tuple of shape (batch,); a
            number or a scalar tensor for a single row.
        target_lengths: number of labels in use of each row, like `input_lengths`.
        blank: class index of the blank; a negative index counts from the last class.
        reduction: "none" returns one loss per row; "mean" the mean over the batch of each loss divided by its target
            length (at least 1); "sum" the sum.
        zero_infinity: True returns a loss of 0 instead of inf for a row without a path.

    Returns:
        The loss in nats: a scalar; with reduction="none" shape (batch,), or a scalar for a single row. float32, or
        float64 for float64 log_probs, on their device.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: log_probs on the CPU are probabilities: all frames of a row are in [0, 1] and add up to 1.
        OptionError: `reduction` is unknown.
        RuntimeError: the second derivative is differentiated, or the call is inside torch.jit.trace. All errors above
            are RuntimeErrors too, like those of torch.

    Example:
        >>> import torch
        >>> import seqloss.torch.functional as F
        >>> log_probs = torch.zeros(2, 1, 3).log_softmax(2)  # two frames, three equally probable classes
        >>> F.ctc_loss(log_probs, torch.tensor([[1]]), [2], [1])  # three of nine paths leave [1]: log 3
        tensor(1.0986)

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    check_reduction(reduction)
    _check_log_probs(log_probs)
    single = log_probs.ndim == 2
    logits = log_probs[None] if single else log_probs.transpose(0, 1)  # (batch, time, classes)
    infeasible: Infeasible = "zero" if zero_infinity else "inf"
    options = Options("CTCLoss", blank, False, infeasible, reduction, None, True, EXP)
    with torch_argument_names():
        frames, labels = _lengths(logits, input_lengths, target_lengths)
        found = compute_losses(logits, targets, frames, labels, options)
    return found[0] if single and reduction == "none" else found


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        error = unknown_option("reduction", reduction, REDUCTIONS)
        raise as_runtime_error(error, str(error))


def _lengths(logits: torch.Tensor, *lengths: Any) -> list[Any]:
    """Of a batch as they are; of a single row () or (1,), as (1,)."""
    if logits.shape[0] != 1:
        return list(lengths)
    return list(map(_as_row, lengths))


def _as_row(lengths: Any) -> Any:
    """Lists are left as they are: torch.compile traces no operation of NumPy on lists and numbers."""
    if isinstance(lengths, torch.Tensor | np.ndarray):
        return lengths.reshape(-1)
    return [lengths] if isinstance(lengths, int | float | np.generic) else lengths


def _check_log_probs(log_probs: Any) -> None:
    if not isinstance(log_probs, torch.Tensor):
        error: SeqLossError = wrong_dtype("log_probs", type(log_probs).__name__, "a torch.Tensor")
        raise as_runtime_error(error, str(error))
    if log_probs.ndim not in (2, 3):
        error = wrong_rank("log_probs", log_probs.shape, "(time, batch, classes) or (time, classes)")
        raise as_runtime_error(error, str(error))
