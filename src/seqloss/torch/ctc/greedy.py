"""The most probable path, read as labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import seqloss.numpy as host
from seqloss import contract
from seqloss.numpy import Greedy
from seqloss.torch.arrays import integers, scores
from seqloss.torch.ctc.device_arguments import read, takes
from seqloss.torch.tracing import refuse_tracing, untraced


@untraced
def ctc_greedy(
    logits: torch.Tensor, logit_lengths: Any = None, *, blank: int = 0, normalize: bool = True
) -> list[Greedy]:
    """Read a network's output in the simplest way: the best class of each frame, repeats merged, blanks dropped.

    This is the most probable *path*, not the most probable label sequence, which may be spread over many
    paths.

    Args:
        logits: scores (batch, time, classes), as `ctc_loss` takes them.
        logit_lengths: frames in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: take the softmax, or take the scores for log-probabilities as they stand.

    Returns:
        a `Greedy` for each row; among equal scores in a frame the lower class wins.

    Raises:
        ShapeError, DTypeError, LengthError, LabelError: as `ctc_loss`.

    Example:
        >>> import torch
        >>> from seqloss.torch import ctc_greedy
        >>> frames = torch.tensor([0, 2, 2, 0, 2, 1])
        >>> read = ctc_greedy(9.0 * torch.nn.functional.one_hot(frames, 3)[None].float())[0]
        >>> read.labels.tolist(), read.first.tolist(), read.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])
    """
    if takes(logits):
        refuse_tracing("ctc_greedy", logits)
        return _on_the_device(logits, logit_lengths, blank, normalize)
    values = scores(logits, "ctc_greedy")
    return host.ctc_greedy(values, integers(logit_lengths), blank=blank, normalize=normalize)


def _on_the_device(logits: torch.Tensor, logit_lengths: Any, blank: int, normalize: bool) -> list[Greedy]:
    """By the Triton kernels; what the device held is looked at once it has come with the one transfer."""
    from seqloss.kernels.triton.ctc import greedy

    rows = logits.shape[0] if logits.ndim == 3 else 0
    no_labels = np.zeros((rows, 0), np.int64)
    given = read(logits, no_labels, logit_lengths, None, blank=blank, validate=True)
    lengths = given.logit_lengths
    if lengths is None:
        lengths = torch.full((rows,), logits.shape[1], dtype=torch.int64, device=logits.device)
    reading = greedy.read_labels(logits.detach().resolve_neg(), lengths, blank=given.blank, normalize=normalize)
    found = greedy.split_reading(reading.whole.cpu())
    contract.validate(tuple(logits.shape), no_labels, found.lengths.numpy(), blank=blank)
    return [_row(found, n) for n in range(rows)]


def _row(found: Any, n: int) -> Greedy:
    """What was read off one row, in memory of its own."""
    count = int(found.counts[n])
    labels, first, last, label_scores = (
        part[n, :count].numpy().copy() for part in (found.labels, found.first, found.last, found.label_scores)
    )
    return Greedy(labels, first, last, label_scores, float(found.scores[n]))
