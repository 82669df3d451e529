"""The most probable path, read as labels."""

from __future__ import annotations

from typing import Any

import torch

import seqloss.numpy as host
from seqloss.numpy import Greedy
from seqloss.torch.arrays import integers, scores


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
    values = scores(logits, "ctc_greedy")
    return host.ctc_greedy(values, integers(logit_lengths), blank=blank, normalize=normalize)
