"""Errors of `CTCLoss` in the argument names of torch.nn.CTCLoss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seqloss.errors import MOVE_BLANK, SeqLossError
from seqloss.torch.runtime_errors import as_runtime_error

ARGUMENT_NAMES = {
    "logits are batch first: (batch, time, classes)": "log_probs are time first: (time, batch, classes)",
    "logit_lengths": "input_lengths",
    "logits": "log_probs",
    MOVE_BLANK: MOVE_BLANK.replace("blank=...", "CTCLoss(blank=...)"),
}
"""The names of torch.nn.CTCLoss for the contract's arguments, in the order of replacement."""


@contextmanager
def torch_argument_names() -> Iterator[None]:
    """Raise errors of the contract as RuntimeErrors too, with the argument names of torch.nn.CTCLoss."""
    try:
        yield
    except SeqLossError as error:
        message = str(error)
        for name, torch_name in ARGUMENT_NAMES.items():
            message = message.replace(name, torch_name)
        raise as_runtime_error(error, message) from None
