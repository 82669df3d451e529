"""`torch.nn.CTCLoss`, as it is called, computed here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NoReturn, get_args

import numpy as np
import torch

from seqloss.errors import SeqLossError, unknown_option, wrong_dtype, wrong_rank
from seqloss.numpy.ctc.rows import Rows
from seqloss.torch.arrays import checked
from seqloss.torch.ctc import device_arguments, gpu, operators
from seqloss.torch.ctc.rows import losses
from seqloss.torch.runtime_errors import as_runtime_error
from seqloss.torch.tracing import is_traced, untraced

TorchReduction = Literal["none", "mean", "sum"]
REDUCTIONS = get_args(TorchReduction)

WORDS = {
    "logits are batch first: (batch, time, classes)": "log_probs are time first: (time, batch, classes)",
    "logit_lengths": "input_lengths",
    "logits": "log_probs",
}
"""What torch.nn.CTCLoss calls the contract's arguments, in the order in which to look for them."""


class CTCLoss(torch.nn.Module):
    """Move a project over from torch.nn.CTCLoss by changing one import: its arguments, its value, its gradient.

        loss = -log sum_{paths pi of the target} prod_t exp(log_probs[t, pi_t])

    The scores are read as they stand, normalised or not, and the gradient with respect to them is torch's:

        exp(log_probs[t, c]) - posterior[t, c]

    That is the loss's gradient with respect to the scores *before* `log_softmax`, and passes through log_softmax's own
    backward unchanged, since each frame adds up to 0. So it is right where log_probs come from log_softmax and
    go nowhere else, and is not what `gradcheck` expects of log_probs themselves (pytorch issue #52241).
    `seqloss.torch.ctc_loss` takes the scores before log_softmax, or, with normalize=False, gives the gradient with
    respect to log-probabilities proper.

    Different from torch, on purpose:

    * a row that no path fits has loss inf, or 0 with `zero_infinity`, and in both cases a gradient of 0, never NaN;
    * a score of -inf has a gradient of 0 of its own while other paths fit, not NaN;
    * labels and lengths that do not exist are errors, where torch reads past the row; labels are integers;
    * float16 and bfloat16 are taken too: computed in float32, the gradient rounded once;
    * a negative `blank` counts from the end.

    As in torch, a NaN or +inf in a class that a row does not read leaves its loss alone and is met again in
    the gradient, in its own place; past a row's length nothing is read, and the gradient is 0.

    Args:
        blank: the class that stands for no label.
        reduction: "none"; "mean" (each loss over its target length, at least 1, then the batch's mean); "sum".
        zero_infinity: answer a row that no path fits with loss 0.

    A call takes:
        log_probs: (time, batch, classes), or (time, classes) for a single row.
        targets: integers (batch, labels), padded with anything; or all labels one row after another; or (labels,).
        input_lengths: frames in use, integers (batch,), tensor, list or tuple; () for a single row.
        target_lengths: labels in use, likewise.

    Returns:
        from a call, the loss in nats: a scalar; with "none" (batch,), or () for a single row. float32, or float64 for
        float64 log_probs.

    Raises:
        OptionError: an unknown word for `reduction`, here or set later.
        ShapeError, DTypeError, LabelError, LengthError: in a call, as `seqloss.torch.ctc_loss`. All of them are
            RuntimeErrors too, as those of torch.nn.CTCLoss are.

    Example:
        >>> import torch
        >>> from seqloss.torch import CTCLoss
        >>> logits = torch.zeros(2, 1, 3, requires_grad=True)  # two frames, three classes, all alike
        >>> loss = CTCLoss()(logits.log_softmax(2), torch.tensor([[1]]), [2], [1])
        >>> loss  # three of nine paths spell [1]: log 3
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
        _check_reduction(reduction)
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: torch.Tensor, targets: Any, input_lengths: Any, target_lengths: Any) -> torch.Tensor:
        """The loss of a batch, or of a single row: see the class."""
        _check_reduction(self.reduction)
        _check_log_probs(log_probs)
        single = log_probs.ndim == 2
        logits = log_probs[None] if single else log_probs.transpose(0, 1)  # (batch, time, classes)
        if device_arguments.takes(logits):
            found = self._on_device(logits, targets, input_lengths, target_lengths)
        else:
            found = self._on_cpu(logits, targets, input_lengths, target_lengths)
        return found[0] if single and self.reduction == "none" else found

    @untraced
    def _on_cpu(self, logits: torch.Tensor, targets: Any, input_lengths: Any, target_lengths: Any) -> torch.Tensor:
        with _torchs_words():
            values, batch = checked(
                "CTCLoss", logits, targets, *_lengths(logits, input_lengths, target_lengths), blank=self.blank,
                normalize=True, validate=True,
            )  # fmt: skip
        return losses(
            "CTCLoss", logits, values, batch, normalize=False, infeasible="zero" if self.zero_infinity else "inf",
            reduction=self.reduction, finish=add_probabilities,
        )  # fmt: skip

    def _on_device(self, logits: torch.Tensor, targets: Any, input_lengths: Any, target_lengths: Any) -> torch.Tensor:
        lengths = _lengths(logits, input_lengths, target_lengths)
        if is_traced("CTCLoss", logits):
            return operators.traced_losses(
                logits, targets, *lengths, blank=self.blank, normalize=False,
                infeasible="zero" if self.zero_infinity else "inf", validate=False, reduction=self.reduction,
                denominator=None, mode=gpu.TORCHS,
            )  # fmt: skip
        with _torchs_words():
            given = device_arguments.read(logits, targets, *lengths, blank=self.blank, validate=True)
        return gpu.losses(
            "CTCLoss", logits, given, normalize=False, infeasible="zero" if self.zero_infinity else "inf",
            validate=False, reduction=self.reduction, mode=gpu.TORCHS,
        )  # fmt: skip

    def __prepare_scriptable__(self) -> NoReturn:
        """What torch.jit.script asks a module for."""
        raise RuntimeError(
            "CTCLoss cannot be compiled by torch.jit.script: its kernels are no TorchScript. Script the network "
            "alone and call CTCLoss on its output, or take torch.compile."
        )

    def extra_repr(self) -> str:
        return f"blank={self.blank}, reduction={self.reduction!r}, zero_infinity={self.zero_infinity}"


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        error = unknown_option("reduction", reduction, REDUCTIONS)
        raise as_runtime_error(error, str(error))


def _lengths(logits: torch.Tensor, *lengths: Any) -> list[Any]:
    """Of a batch as they are; of a single row () or (1,), as (1,)."""
    if logits.shape[0] != 1:
        return list(lengths)
    return [x.reshape(-1) if isinstance(x, torch.Tensor) else np.reshape(x, -1) for x in lengths]


def _check_log_probs(log_probs: Any) -> None:
    if not isinstance(log_probs, torch.Tensor):
        error: SeqLossError = wrong_dtype("log_probs", type(log_probs).__name__, "a torch.Tensor")
        raise as_runtime_error(error, str(error))
    if log_probs.ndim not in (2, 3):
        error = wrong_rank("log_probs", log_probs.shape, "(time, batch, classes) or (time, classes)")
        raise as_runtime_error(error, str(error))


def add_probabilities(log_probs: np.ndarray, rows: Rows) -> None:
    """Make torch's gradient of the contract's: from minus the posterior to exp(log_prob) less the posterior.

    Both are near 1 where a model is sure and right. With x the log-probability and γ the posterior of a frame's
    likeliest class, the difference is then taken by the complements, both known to their last digits:

        exp(x) - γ = expm1(x) + Σ others' γ

    Args:
        log_probs: (batch, time, classes).
        rows: their gradient; frames that are `zero_gradient` stay 0.
    """
    assert rows.gradient is not None
    frames = (~rows.zero_gradient).sum(axis=1)  # (batch,)
    for row, used in enumerate(frames):
        _add_frames(log_probs[row, :used], rows.gradient[row, :used])


def _add_frames(log_probs: np.ndarray, gradient: np.ndarray) -> None:
    frames = np.arange(gradient.shape[0])
    best = gradient.argmin(axis=1)  # (time,), the largest posterior
    largest = -gradient[frames, best]
    gradient[frames, best] = 0.0
    others = gradient.sum(axis=1, dtype=np.float64)
    gradient[frames, best] = -largest
    sure = np.flatnonzero(largest > 0.5)
    best = best[sure]
    with np.errstate(all="ignore"):  # a score is whatever the caller made it
        gradient += np.exp(log_probs)
        gradient[sure, best] = np.expm1(log_probs[sure, best].astype(np.float64)) - others[sure]


@contextmanager
def _torchs_words() -> Iterator[None]:
    """An error of the contract as a RuntimeError too, with the names that torch.nn.CTCLoss has for its arguments."""
    try:
        yield
    except SeqLossError as error:
        words = str(error)
        for ours, torchs in WORDS.items():
            words = words.replace(ours, torchs)
        raise as_runtime_error(error, words) from None
