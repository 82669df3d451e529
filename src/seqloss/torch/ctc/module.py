"""A drop-in replacement for torch.nn.CTCLoss."""

from __future__ import annotations

import torch

from seqloss.torch.arrays import IntegerArray
from seqloss.torch.functional import Lengths, TorchReduction, check_reduction, ctc_loss
from seqloss.torch.tracing import refuse_scripting


class CTCLoss(torch.nn.Module):
    """Replace torch.nn.CTCLoss by changing one import: the same arguments, value and gradient.

        loss = -log sum_{paths pi of the target} prod_t exp(log_probs[t, pi_t])

    The scores are used as they are, normalised or not. The gradient with respect to them is the one of
    torch.nn.CTCLoss:

        exp(log_probs[t, c]) - posterior[t, c]

    This is the gradient of the loss with respect to the scores *before* `log_softmax`. It adds up to 0 in each frame
    and therefore passes through the backward of log_softmax unchanged. So it is right if log_probs come from
    log_softmax and are used for nothing else. It is not the gradient with respect to log_probs that `gradcheck` expects
    (PyTorch issue #52241). `seqloss.torch.ctc_loss` takes the scores before log_softmax; with normalize=False it
    returns the true gradient with respect to log-probabilities.

    Deliberate differences from torch.nn.CTCLoss:

    * A row without a path has loss inf, or 0 with `zero_infinity`, and always a gradient of 0, never NaN.
    * A score of -inf has a gradient of 0, not NaN, while other paths have a positive probability.
    * Invalid labels and lengths raise errors; torch reads past the row. Labels must be integers.
    * Probabilities in place of log-probabilities raise an error; torch returns a loss below 0.
    * float16 and bfloat16 are supported: computed in float32, and the gradient is rounded once.
    * A negative `blank` counts from the last class.

    As in torch, a NaN or +inf in a class that a row does not read leaves the loss of the row unchanged and makes its
    own entry of the gradient non-finite. Frames past the length of a row are not read, and their gradient is 0.

    A call of the module takes (log_probs, targets, input_lengths, target_lengths) and returns the loss in nats, see
    `forward`.

    Args:
        blank: class index of the blank; a negative index counts from the last class.
        reduction: "none" returns one loss per row; "mean" the mean over the batch of each loss divided by its target
            length (at least 1); "sum" the sum.
        zero_infinity: True returns a loss of 0 instead of inf for a row without a path.

    Raises:
        OptionError: `reduction` is unknown, here or when it is set later. It is a RuntimeError too, like all errors of
            a call.

    Example:
        >>> import torch
        >>> from seqloss.torch import CTCLoss
        >>> logits = torch.zeros(2, 1, 3, requires_grad=True)  # two frames, three equally probable classes
        >>> loss = CTCLoss()(logits.log_softmax(2), torch.tensor([[1]]), [2], [1])
        >>> loss  # three of nine paths leave [1]: log 3
        tensor(1.0986, grad_fn=<_LossesBackward>)
        >>> loss.backward()
        >>> logits.grad[0, 0, 1:]  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        tensor([-0.3333,  0.3333])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
        https://github.com/pytorch/pytorch/issues/52241
    """

    def __init__(self, blank: int = 0, reduction: TorchReduction = "mean", zero_infinity: bool = False) -> None:
        super().__init__()
        check_reduction(reduction)
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(
        self, log_probs: torch.Tensor, targets: IntegerArray, input_lengths: Lengths, target_lengths: Lengths
    ) -> torch.Tensor:
        """Compute the loss of a batch, or of a single row.

        Args:
            log_probs: log-probabilities, shape (time, batch, classes), or (time, classes) for a single row; float16,
                bfloat16, float32 or float64.
            targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all
                rows concatenated, shape (sum of target_lengths,); or (labels,) for a single row.
            input_lengths: number of frames in use of each row, integers: a tensor, list or tuple of shape (batch,);
                a number or a scalar tensor for a single row.
            target_lengths: number of labels in use of each row, like `input_lengths`.

        Returns:
            The loss in nats: a scalar; with reduction="none" shape (batch,), or a scalar for a single row. float32, or
            float64 for float64 log_probs, on their device.

        Raises:
            ShapeError: an argument has the wrong rank or size.
            DTypeError: an argument has an unsupported element type.
            LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
            LengthError: a length is negative or larger than its axis.
            NormalizationError: log_probs on the CPU are probabilities: all frames of a row are in [0, 1] and add up to
                1.
            OptionError: `reduction` was set to an unknown value.
            RuntimeError: the second derivative is differentiated, or the call is inside torch.jit.trace. All errors
                above are RuntimeErrors too, like those of torch.nn.CTCLoss.

        Example:
            >>> import torch
            >>> from seqloss.torch import CTCLoss
            >>> log_probs = torch.zeros(2, 3).log_softmax(1)  # a single row: (time, classes)
            >>> CTCLoss().forward(log_probs, torch.tensor([1]), torch.tensor(2), torch.tensor(1))
            tensor(1.0986)
        """
        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )

    def extra_repr(self) -> str:
        return f"blank={self.blank}, reduction={self.reduction!r}, zero_infinity={self.zero_infinity}"


refuse_scripting(CTCLoss, "CTCLoss")
