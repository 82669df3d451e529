"""Greedy (best-path) decoding of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqloss import contract
from seqloss.numpy import Greedy
from seqloss.numpy.ctc.greedy import decode_rows
from seqloss.torch.arrays import IntegerArray, integers_to_numpy, log_softmax_rounding, logits_to_numpy, tensor_to_numpy
from seqloss.torch.ctc.device_arguments import read_device_arguments, runs_on_triton
from seqloss.torch.tracing import refuse_tracing, untraced


@untraced
def ctc_greedy(
    logits: torch.Tensor, logit_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True
) -> list[Greedy]:
    """Decode labels from a network's output by the most probable class of each frame (greedy decoding).

        pi_t = argmax_c logits[t, c]

    Adjacent repeats of pi are merged and blanks are removed. This is best-path decoding: it finds the most probable
    *path*, which is not always the most probable label sequence, because that sums over many paths. Among equal scores
    in a frame the lower class wins.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64, any strides, any device.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities. This changes
            the scores of the result, not its labels.

    Returns:
        One `Greedy` per row: labels, first and last frame of each label, and log-probabilities in nats, as NumPy
        arrays.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: `blank` is not a class.
        LengthError: a length is negative or larger than the time axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        RuntimeError: the numbers of a tensor cannot be read: the call is inside a torch.func transform or is recorded
            by torch.jit.trace, torch.export or make_fx, or a tensor is nested.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_greedy
        >>> frames = torch.tensor([0, 2, 2, 0, 2, 1])
        >>> decoded = ctc_greedy(9.0 * torch.nn.functional.one_hot(frames, 3)[None].float())[0]
        >>> decoded.labels.tolist(), decoded.first.tolist(), decoded.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section
            3.2.
    """
    if runs_on_triton(logits):
        refuse_tracing("ctc_greedy", logits)
        return _decode_on_gpu(logits, logit_lengths, blank, normalize)
    values = logits_to_numpy(logits, "ctc_greedy")
    rounding = log_softmax_rounding(logits.dtype)
    return decode_rows(values, integers_to_numpy(logit_lengths), blank, normalize=normalize, rounding=rounding)


def _decode_on_gpu(
    logits: torch.Tensor, logit_lengths: IntegerArray | None, blank: int, normalize: bool
) -> list[Greedy]:
    """Decode with the Triton kernels. Lengths on the GPU are checked after the one copy to the host."""
    from seqloss.kernels.triton.ctc import greedy

    rows = logits.shape[0] if logits.ndim == 3 else 0
    no_labels = np.zeros((rows, 0), np.int64)
    given = read_device_arguments(logits, no_labels, logit_lengths, None, blank=blank, validate=True)
    lengths = given.logit_lengths
    if lengths is None:
        lengths = torch.full((rows,), logits.shape[1], dtype=torch.int64, device=logits.device)
    decoded = greedy.read_labels(logits.detach().resolve_neg(), lengths, blank=given.blank, normalize=normalize)
    found = greedy.split_reading(decoded.whole.cpu())
    contract.validate(tuple(logits.shape), no_labels, found.lengths.numpy(), blank=blank)
    if not normalize and _some_frame_is_doubtful(logits.detach(), lengths):
        values = tensor_to_numpy(logits.detach().to("cpu", torch.float32))
        contract.check_normalized(values, found.lengths.numpy(), log_softmax_rounding(logits.dtype))
    return [_copy_row(found, n) for n in range(rows)]


def _some_frame_is_doubtful(logits: torch.Tensor, logit_lengths: torch.Tensor) -> bool:
    """Whether a frame in use may hold more probability than 1, by a sum on the device that is read here."""
    totals = torch.logsumexp(logits.float(), 2)
    used = torch.arange(logits.shape[1], device=logits.device) < logit_lengths[:, None]
    return bool(((totals > contract.NORMALIZATION_SLACK / 4) & used).any())


def _copy_row(found: Any, n: int) -> Greedy:
    """Return the result of row n, copied into its own memory."""
    count = int(found.counts[n])
    labels, first, last, label_scores = (
        part[n, :count].numpy().copy() for part in (found.labels, found.first, found.last, found.label_scores)
    )
    return Greedy(labels, first, last, label_scores, float(found.scores[n]))
