"""Error messages with the argument names of a Keras loss: `y_true` and `y_pred` for targets and logits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from seqloss.errors import MOVE_BLANK, TRUE_LENGTHS
from seqloss.keras.ctc.labels import NO_INTEGER

POSITION = re.compile(r"\b(targets|logits)(?:\[(\d+), (\d+)\])?(?!\w)")
LENGTH = re.compile(r"\b(target_lengths|logit_lengths)\[(\d+)\]")
LABEL = re.compile(r": found label (-?\d+),")
UNEVEN = "pad them to one length and give target_lengths"


@dataclass(frozen=True)
class KerasNames:
    """The names of the contract's arguments in a Keras loss.

    Attributes:
        labels_from: index of the column of y_true with the first label.
        frames_from: index of the step of y_pred with the first frame.
        target_lengths: column of y_true with the target lengths, or an argument's name.
        logit_lengths: column of y_true with the numbers of frames, or an argument's name.
        true_lengths: what to do if padding was read as a label; "{label}" stands for it.
        padding: the number that pads y_true; None if lengths do not come from padding.
        move_blank: what to do if the blank is a label.
    """

    labels_from: int = 0
    frames_from: int = 0
    target_lengths: int | str = "target_lengths"
    logit_lengths: int | str = "logit_lengths"
    true_lengths: str = TRUE_LENGTHS
    padding: float | None = None
    move_blank: str = MOVE_BLANK

    def translate(self, message: str) -> str:
        label = LABEL.search(message)
        message = message.replace(TRUE_LENGTHS, self._true_lengths(int(label[1]) if label else 0))
        message = message.replace(MOVE_BLANK, self.move_blank).replace(UNEVEN, "pad them to one length")
        message = LENGTH.sub(lambda found: self._length(found[1], found[2]), message)
        for name, own in (("target_lengths", self.target_lengths), ("logit_lengths", self.logit_lengths)):
            if isinstance(own, str):
                message = re.sub(rf"\b{name}\b", own, message)
        return POSITION.sub(lambda found: self._position(*found.groups()), message)

    def _true_lengths(self, label: int) -> str:
        if label == NO_INTEGER:
            return "numbers that are no whole numbers, or too large for int32, are read as this one"
        if label == self.padding:
            return f"move it to the end of its row (found padding={self.padding:g})"
        return self.true_lengths.format(label=label)

    def _length(self, name: str, row: str) -> str:
        own: int | str = getattr(self, name)
        unit = "labels" if name == "target_lengths" else "frames"
        return f"y_true[{row}, {own}] (the number of {unit})" if isinstance(own, int) else f"{own}[{row}]"

    def _position(self, name: str, row: str | None, position: str | None) -> str:
        own, first = ("y_true", self.labels_from) if name == "targets" else ("y_pred", self.frames_from)
        return own if row is None or position is None else f"{own}[{row}, {int(position) + first}]"
