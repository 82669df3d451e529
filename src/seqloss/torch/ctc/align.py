"""Forced alignment on tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.numpy.ctc.align import align_batch
from seqloss.torch.arrays import IntegerArray, read_host_arguments
from seqloss.torch.ctc import device_arguments
from seqloss.torch.ctc.device_arguments import read_device_arguments, runs_on_triton
from seqloss.torch.ctc.gpu import refuse, slack
from seqloss.torch.tracing import refuse_tracing, untraced


@dataclass(frozen=True)
class Alignment:
    """The most probable alignment of each row, as returned by `ctc_align`.

    Entries past the length of a row, and all entries of a row without a path, are -1; their scores are 0.

    Attributes:
        classes: class of each frame, int64, shape (batch, time).
        first: first frame of each label, int64, shape (batch, labels).
        last: last frame of each label, int64, shape (batch, labels).
        scores: log-probability of the frames of each label in nats, shape (batch, labels); NaN in a row with a NaN or
            +inf, or with normalize=True a frame of only -inf.
        total: log-probability of the path in nats, shape (batch,); NaN for such a row, as `infeasible` chooses for a
            row without a path.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_align
        >>> best = ctc_align(torch.zeros(2, 4, 3), [[1, 2], [1, 1]], logit_lengths=[4, 2])
        >>> best.classes.tolist()  # two equal labels need three frames: the second row has no path
        [[1, 2, 0, 0], [-1, -1, -1, -1]]
        >>> [round(total, 4) for total in best.total.tolist()]
        [-4.3944, -inf]
    """

    classes: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    scores: torch.Tensor
    total: torch.Tensor


@untraced
def ctc_align(
    logits: torch.Tensor,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> Alignment:
    """Find the most probable alignment of a target with the frames (forced alignment).

        argmax_{π: collapse(π) = target} Σ_t log p_t(π_t)

    Ties are broken in favour of the path with the lexicographically earliest label starts, then of the one with the
    shortest spans, label by label. Two paths are equally probable if their float64 scores are equal.

    Values that are stored on a GPU are not checked, because a check would wait for the device. There an invalid row
    gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64, any strides, any device.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.
        infeasible: total of a row without a path of positive probability: -inf ("inf"), 0 ("zero") or an
            InfeasibleError ("raise").
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length then has classes and frames -1, scores 0
            and the total NaN; with normalize=False, scores whose probabilities add up to more than 1 give numbers
            without meaning, possibly above 0.

    Returns:
        An `Alignment` on the device of the logits, without a graph: the class of each frame, the first and last frame
        of each label, and log-probabilities in nats; these are float32, or float64 for float64 logits.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.
        OutOfMemoryError: there is too little memory. On a CPU, each thread takes up to 16 MB, and about
            20 (frames * (2 labels + 1))^(2/3) bytes: 120 MB for 180,000 frames (an hour of speech) and 40,000 labels.
        RuntimeError: the call is inside a torch.func transform or is recorded by torch.jit.trace, torch.export or
            make_fx.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_align
        >>> best = ctc_align(torch.zeros(1, 4, 3), torch.tensor([[1, 2]]))
        >>> best.classes.tolist(), best.first.tolist(), best.last.tolist()
        ([[1, 2, 0, 0]], [[0, 1]], [[0, 1]])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section 4;
            with maxima in place of sums (Viterbi).
    """
    contract.check_options(infeasible, "none", None)
    if runs_on_triton(logits):
        refuse_tracing("ctc_align", logits)
        return _align_on_gpu(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    values, batch = read_host_arguments(
        "ctc_align", logits, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize,
        validate=validate,
    )  # fmt: skip
    found = align_batch(values, batch, normalize=normalize, infeasible=infeasible)
    return Alignment(*(torch.from_numpy(array).to(logits.device) for array in vars(found).values()))


def _align_on_gpu(
    logits: torch.Tensor,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None,
    target_lengths: IntegerArray | None,
    blank: int,
    normalize: bool,
    infeasible: Infeasible,
    validate: bool,
) -> Alignment:
    """Align with the Triton kernels, without waiting for the device.

    With infeasible="raise", a row without a path that only the device knows of gets a total of NaN.
    """
    from seqloss.kernels.triton.ctc.align import best_paths

    given = read_device_arguments(logits, targets, logit_lengths, target_lengths, blank=blank, validate=validate)
    refuse("ctc_align", logits, given, normalize=normalize, infeasible=infeasible, validate=validate)
    found = best_paths(
        logits.detach().resolve_neg(), *given[:3], blank=given.blank, normalize=normalize,
        rounding=slack(logits, normalize, validate),
    )  # fmt: skip
    infeasible_rows = found.totals == -torch.inf
    if (
        infeasible == "raise"
        and given.host is not None
        and not device_arguments.hidden(logits)
        and bool(infeasible_rows.any())
    ):
        raise contract.infeasible_row(int(infeasible_rows.nonzero()[0, 0]), given.host)
    if infeasible != "inf":
        found.totals.masked_fill_(infeasible_rows, 0.0 if infeasible == "zero" else torch.nan)
    return Alignment(*found)
