"""The labels of a batch, as the data collators of transformers pad them: with -100."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from seqloss.errors import SeqLossWarning, wrong_dtype, wrong_rank
from seqloss.torch.huggingface import errors

PADDING = -100


def check_labels(labels: Any) -> None:
    """Raise an error for what is no batch of labels; values are not read."""
    if labels is None:
        raise errors.no_labels()
    if not isinstance(labels, torch.Tensor) or labels.is_floating_point() or labels.dtype == torch.bool:
        found = labels.dtype if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise wrong_dtype("labels", found, "a tensor of integers")
    if labels.ndim != 2:
        raise wrong_rank("labels", labels.shape, "(batch, labels)", f"Pad the rows with {PADDING}.")


def check_label_values(labels: torch.Tensor, blank: int, classes: int) -> None:
    """Raise a `LabelError` for the first label that is the blank or no class; waits for a device."""
    used = labels != PADDING
    for bad in (used & (labels == blank), used & ((labels < 0) | (labels >= classes))):
        if bad.any():
            row, position = (int(index) for index in bad.nonzero()[0])
            raise errors.wrong_token(row, position, int(labels[row, position]), classes, blank)


def warn_of_unknown_tokens(labels: torch.Tensor, unknown: int | None) -> None:
    """Warn if half of the labels or more are the tokenizer's unknown token."""
    used = labels != PADDING
    share = float((used & (labels == unknown)).sum() / used.sum().clamp(min=1)) if unknown is not None else 0.0
    if share >= 0.5:
        warnings.warn(
            f"labels: {share:.0%} of the first batch are the tokenizer's unknown token ({unknown}); write the texts "
            "with the characters of the vocabulary, for example in upper case. (Shown once.)",
            SeqLossWarning,
            stacklevel=3,
        )


def without_padding(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The labels of each row at its left, wherever -100 stands, and their number; does not wait for a device."""
    used = labels != PADDING
    order = (~used).to(torch.int8).argsort(dim=1, stable=True)
    return labels.gather(1, order), used.sum(1)
