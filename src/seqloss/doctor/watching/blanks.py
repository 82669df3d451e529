"""Whether CTC predicts only blanks: a plateau that will end, or a collapse."""

from __future__ import annotations

from collections.abc import Iterator

from seqloss.doctor.bars import thin
from seqloss.doctor.findings import Finding
from seqloss.doctor.watching.exchange import Exchange
from seqloss.doctor.watching.view import View

ONLY = 0.99
"""Share of frames whose most probable class is the blank."""

LOOKS = 4

CODE = """\
print((model(batch).argmax(-1) == blank).float().mean())
"""


class Blanks:
    """Follows the share of blanks.

    Args:
        blank: its class.
        exchange: tells whether the model begins to use its input.
    """

    def __init__(self, blank: int, exchange: Exchange) -> None:
        self.blank, self.exchange = blank, exchange
        self.shares: list[float] = []
        self.losses: list[float] = []

    def look(self, view: View) -> Iterator[Finding]:
        scores = next((tensor for tensor in view.outputs.values() if tensor.dim() == 3), None)
        if scores is None:
            return
        best = scores.argmax(-1)
        in_use = (scores != 0).any(-1) if bool((scores == 0).all(-1).any()) else best >= 0  # padding is often 0
        self.shares.append(float((best[in_use] == self.blank).double().mean()))
        self.losses.append(view.plain.value)
        evidence = {"step": view.step, "share of blanks": self.shares[-1], "loss": self.losses[-1]}
        curves = {"share of blanks": thin(self.shares), "loss": thin(self.losses)}
        if self.shares[-1] < ONLY:
            return
        if min(self.shares) < 0.9 and self.losses[-1] > 1.5 * min(self.losses):
            yield Finding(
                "collapsed-to-blanks", "error", evidence | {"lowest share before": min(self.shares)},
                "the model predicted labels before, and predicts only blanks now, with a higher loss",
                "Use a smaller learning rate or a warm-up, and clip gradients", CODE, curves,
            )  # fmt: skip
        elif view.is_late and min(self.shares[-LOOKS:]) >= ONLY and len(self.shares) >= LOOKS and self._is_stuck():
            yield Finding(
                "only-blanks", "error", evidence,
                "the model predicts only blanks, and the probabilities of labels do not begin to depend on the input: "
                "this is not the plateau at the beginning of each training with CTC, which ends",
                "Check the learning rate, lengths after subsampling, and that inputs and texts belong together; layer "
                "norm and a warm-up end a plateau sooner",
                CODE, curves,
            )  # fmt: skip

    def _is_stuck(self) -> bool:
        return not self.exchange.is_rising and not self.exchange.learns
