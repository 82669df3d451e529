"""CTC behind PyTorch's autograd."""

from __future__ import annotations

from typing import Any

import torch

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.torch.arrays import read_host_arguments
from seqloss.torch.ctc import gpu, operators
from seqloss.torch.ctc.device_arguments import read_device_arguments, runs_on_triton
from seqloss.torch.ctc.rows import compute_losses
from seqloss.torch.tracing import is_traced, untraced


def ctc_loss(
    logits: torch.Tensor,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> torch.Tensor:
    """Train a network to emit a sequence of labels without being told when: connectionist temporal classification.

    A path assigns a class to each frame; removing its adjacent repeats, then its blanks, leaves a label
    sequence. The loss of a target l is the negative log probability of all paths that leave it,

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    and its gradient with respect to the logits is p - posterior, the posterior being the probability, given
    the target, that frame t emits class c.

    Args:
        logits: scores before softmax, (batch, time, classes), float16, bfloat16, float32 or float64, any
            strides, any device. Log-probabilities give the same loss.
        targets: integers (batch, labels), padded with anything; or all labels one row after another, with
            `target_lengths`.
        logit_lengths: frames in use, integers (batch,); None for all. What lies past them is never read, and
            its gradient is 0.
        target_lengths: labels in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: True takes the softmax. False takes the scores for log-probabilities as they stand; only
            the classes of blank and target are read, and the gradient is minus the posterior.
        infeasible: for a row that no path of positive probability fits: "inf" (loss inf, gradient 0), "zero"
            (both 0) or "raise".
        reduction: "none" (batch,); "sum"; "mean" (each loss over its target length, then the batch's mean, as
            torch.nn.CTCLoss has it); "batch" (sum over batch size); "labels" (sum over all labels).
        denominator: with "sum", divide by this number: the count over all accumulation steps and ranks, so
            that the gradient is that of one big batch.
        validate: look at labels, lengths and, with normalize=False, at the frames' sums. With False a row
            that breaks the contract gives NaN instead of an error.

    Returns:
        the loss in nats, (batch,) or a scalar; float32, or float64 for float64 logits, on the logits' device.

    Raises:
        ShapeError, DTypeError: an argument's form.
        LabelError: a label or the blank that is no class; a blank inside a target.
        LengthError: a length below 0 or past its axis.
        NormalizationError: normalize=False, and a frame's probabilities add up to more than 1.001.
        InfeasibleError: infeasible="raise", and no path fits.
        OptionError: an unknown word for `infeasible` or `reduction`, or a `denominator` without "sum".

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_loss
        >>> logits = torch.zeros(1, 2, 3, requires_grad=True)  # two frames, three classes, all alike
        >>> loss = ctc_loss(logits, torch.tensor([[1]]), reduction="sum")
        >>> loss  # three of nine paths spell [1]: log 3
        tensor(1.0986, grad_fn=<_LossesBackward>)
        >>> loss.backward()
        >>> logits.grad[0, 0, 1:]  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        tensor([-0.3333,  0.3333])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    contract.check_options(infeasible, reduction, denominator)
    if runs_on_triton(logits):
        if is_traced("ctc_loss", logits):
            return operators.traced_losses(
                logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, infeasible=infeasible,
                validate=validate, reduction=reduction, denominator=denominator,
            )  # fmt: skip
        given = read_device_arguments(logits, targets, logit_lengths, target_lengths, blank=blank, validate=validate)
        return gpu.compute_losses_on_gpu(
            "ctc_loss", logits, given, normalize=normalize, infeasible=infeasible, validate=validate,
            reduction=reduction, denominator=denominator,
        )  # fmt: skip
    return _on_cpu(
        logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, infeasible=infeasible,
        reduction=reduction, denominator=denominator, validate=validate,
    )  # fmt: skip


@untraced
def _on_cpu(
    logits: torch.Tensor, targets: Any, logit_lengths: Any, target_lengths: Any, *, blank: int, normalize: bool,
    infeasible: Infeasible, reduction: Reduction, denominator: float | None, validate: bool,
) -> torch.Tensor:  # fmt: skip
    values, batch = read_host_arguments(
        "ctc_loss", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate
    )
    return compute_losses(
        "ctc_loss", logits, values, batch, normalize=normalize, infeasible=infeasible, reduction=reduction,
        denominator=denominator,
    )  # fmt: skip
