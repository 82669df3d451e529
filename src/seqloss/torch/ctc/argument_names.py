"""Errors of `CTCLoss` in the argument names of torch.nn.CTCLoss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seqloss.contract import WordReplacements
from seqloss.errors import MOVE_BLANK, SeqLossError
from seqloss.torch.runtime_errors import as_runtime_error

ARGUMENT_NAMES = WordReplacements(
    (
        ("logits are batch first: (batch, time, classes)", "log_probs are time first: (time, batch, classes)"),
        ("logit_lengths", "input_lengths"),
        ("logits", "log_probs"),
        (MOVE_BLANK, MOVE_BLANK.replace("blank=...", "CTCLoss(blank=...)")),
    )
)
"""The names of torch.nn.CTCLoss for the contract's arguments."""


@contextmanager
def torch_argument_names() -> Iterator[None]:
    """Raise errors of the contract as RuntimeErrors too, with the argument names of torch.nn.CTCLoss."""
    try:
        yield
    except SeqLossError as error:
        raise as_runtime_error(error, ARGUMENT_NAMES.translate(str(error))) from None
