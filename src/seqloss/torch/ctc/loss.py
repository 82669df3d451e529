"""The CTC loss with PyTorch's autograd."""

from __future__ import annotations

import torch

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.kernels.ctc.second_derivative import POSTERIOR, SOFTMAX
from seqloss.torch.arrays import IntegerArray
from seqloss.torch.ctc.dispatch import compute_losses
from seqloss.torch.ctc.row_tensors import Options
from seqloss.torch.tracing import recorded_by_fx


@recorded_by_fx
def ctc_loss(
    logits: torch.Tensor,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> torch.Tensor:
    """Compute the CTC loss: score label sequences whose alignment with the frames is unknown.

    A path assigns one class to each frame. Merging its adjacent repeats and then removing its blanks leaves a label
    sequence. The loss of a target l is the negative log-likelihood of all paths that leave it:

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    The gradient with respect to the logits is

        p_t(c) - posterior[t, c]

    where the posterior is the probability, given the target, that frame t has class c (see `ctc_posteriors`).

    It has first and second derivatives in reverse and forward mode. It works under torch.func's transforms,
    torch.compile (fullgraph=True, dynamic shapes), torch.export, make_fx and torch.fx.symbolic_trace.

    Values that are stored on a GPU are not checked, because a check would wait for the device. There an invalid row
    gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64, any strides, any device. Log-probabilities give the same loss.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read, and their gradient is 0.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read, and the gradient is minus the posterior.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: "none" returns one loss per row; "sum" their sum; "mean" the mean over the batch of each loss divided
            by its target length (at least 1), as torch.nn.CTCLoss does; "batch" the sum divided by the batch size;
            "labels" the sum divided by the number of all labels.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of rows or labels
            over all gradient accumulation steps and ranks to get the gradient of one large batch. Where the framework
            takes the mean of M gradients, divide this number by M (docs/guides/big-batches.md).
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.

    Returns:
        The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 logits, on the
        device of the logits. A NaN or +inf among the scores that a row reads, or with normalize=True a frame of only
        -inf, makes the loss of this row NaN and leaves other rows unchanged.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".
        RuntimeError: the second derivative is differentiated (there is no third), or the call is inside
            torch.jit.trace.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_loss
        >>> logits = torch.zeros(1, 2, 3, requires_grad=True)  # two frames, three equally probable classes
        >>> loss = ctc_loss(logits, torch.tensor([[1]]), reduction="sum")
        >>> loss  # three of nine paths leave [1]: log 3
        tensor(1.0986, grad_fn=<_LossesBackward>)
        >>> loss.backward()
        >>> logits.grad[0, 0, 1:]  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        tensor([-0.3333,  0.3333])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    contract.check_options(infeasible, reduction, denominator)
    options = Options(
        "ctc_loss", blank, normalize, infeasible, reduction, denominator, validate,
        SOFTMAX if normalize else POSTERIOR,
    )  # fmt: skip
    return compute_losses(logits, targets, logit_lengths, target_lengths, options)
