"""The contract's errors in the names of a Keras loss: `y_true` and `y_pred` in place of targets and logits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from seqloss.errors import SeqLossError

POSITION = re.compile(r"\b(targets|logits)(?:\[(\d+), (\d+)\])?(?!\w)")
LENGTH = re.compile(r"\b(target_lengths|logit_lengths)\[(\d+)\]")
HINTS = {
    "give the true target_lengths if this is padding, or shift the labels by one": "{padding}, or shift the labels",
    "this looks like padding inside the target's length: give the true target_lengths": "{padding}",
    "pad them to one length and give target_lengths": "pad them to one length",
}


@dataclass(frozen=True)
class ArgumentNames:
    """How a loss calls the arguments of the contract.

    Attributes:
        labels_from: the column of y_true with the first label.
        frames_from: the step of y_pred with the first frame.
        target_lengths, logit_lengths: what lengths are called: a column of y_true, or an argument's name.
        padding: what to do where padding was taken for a label.
    """

    labels_from: int = 0
    frames_from: int = 0
    target_lengths: int | str = "target_lengths"
    logit_lengths: int | str = "logit_lengths"
    padding: str = "give the true label_length if this is padding"

    def translate(self, message: str) -> str:
        for hint, instead in HINTS.items():
            message = message.replace(hint, instead.format(padding=self.padding))
        message = LENGTH.sub(lambda found: self._length(found[1], found[2]), message)
        for name, ours in (("target_lengths", self.target_lengths), ("logit_lengths", self.logit_lengths)):
            if isinstance(ours, str):
                message = re.sub(rf"\b{name}\b", ours, message)
        return POSITION.sub(lambda found: self._place(*found.groups()), message)

    def _length(self, name: str, row: str) -> str:
        ours: int | str = getattr(self, name)
        what = "labels" if name == "target_lengths" else "frames"
        return f"y_true[{row}, {ours}] (the number of {what})" if isinstance(ours, int) else f"{ours}[{row}]"

    def _place(self, name: str, row: str | None, place: str | None) -> str:
        ours, first = ("y_true", self.labels_from) if name == "targets" else ("y_pred", self.frames_from)
        return ours if row is None or place is None else f"{ours}[{row}, {int(place) + first}]"


_current: ContextVar[ArgumentNames | None] = ContextVar("names", default=None)


def current_argument_names() -> ArgumentNames | None:
    """What a graph that is traced now should use for its own errors, when it runs."""
    return _current.get()


@contextmanager
def rename_arguments(names: ArgumentNames | None) -> Iterator[None]:
    """Errors of the contract in these names; None leaves them as they are."""
    if names is None:
        yield
        return
    token = _current.set(names)
    try:
        yield
    except SeqLossError as error:
        raise type(error)(names.translate(str(error))) from None
    finally:
        _current.reset(token)
