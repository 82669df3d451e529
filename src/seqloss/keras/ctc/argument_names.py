"""Error messages with the argument names of a Keras loss: `y_true` and `y_pred` for targets and logits."""

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
    """The names of the contract's arguments in a Keras loss.

    Attributes:
        labels_from: index of the column of y_true with the first label.
        frames_from: index of the step of y_pred with the first frame.
        target_lengths: column of y_true with the target lengths, or an argument's name.
        logit_lengths: column of y_true with the numbers of frames, or an argument's name.
        padding: what to do if padding was read as a label.
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
        for name, own in (("target_lengths", self.target_lengths), ("logit_lengths", self.logit_lengths)):
            if isinstance(own, str):
                message = re.sub(rf"\b{name}\b", own, message)
        return POSITION.sub(lambda found: self._position(*found.groups()), message)

    def _length(self, name: str, row: str) -> str:
        own: int | str = getattr(self, name)
        unit = "labels" if name == "target_lengths" else "frames"
        return f"y_true[{row}, {own}] (the number of {unit})" if isinstance(own, int) else f"{own}[{row}]"

    def _position(self, name: str, row: str | None, position: str | None) -> str:
        own, first = ("y_true", self.labels_from) if name == "targets" else ("y_pred", self.frames_from)
        return own if row is None or position is None else f"{own}[{row}, {int(position) + first}]"


_current: ContextVar[ArgumentNames | None] = ContextVar("names", default=None)


def current_argument_names() -> ArgumentNames | None:
    """Return the names for errors of the graph that is traced now; they are raised when it runs."""
    return _current.get()


@contextmanager
def rename_arguments(names: ArgumentNames | None) -> Iterator[None]:
    """Raise errors of the contract with these argument names; None changes nothing."""
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
