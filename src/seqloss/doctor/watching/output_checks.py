"""All checks of what the model returns, at one look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from seqloss.doctor.findings import Finding
from seqloss.doctor.subject import Loss
from seqloss.doctor.watching.apart import apart
from seqloss.doctor.watching.blanks import Blanks
from seqloss.doctor.watching.copies import copy_batch, steadily
from seqloss.doctor.watching.exchange import Exchange
from seqloss.doctor.watching.found import Found
from seqloss.doctor.watching.spread import Spread
from seqloss.doctor.watching.train_and_eval import TrainAndEval
from seqloss.doctor.watching.units import Units
from seqloss.doctor.watching.view import View, take_view
from seqloss.doctor.watching.worst_rows import WorstRows


class OutputChecks:
    """Judges the model on rows that are held out, or else on rows that the next step trains on.

    Args:
        model: that is trained.
        whole: the module whose buffers and attributes the loss may change.
        held_out: a batch; None if there is none.
        blank: class of the blank; None without CTC.
        steps: of the whole training; None if unknown.
    """

    def __init__(self, model: nn.Module, whole: nn.Module, held_out: Any, blank: int | None, steps: int | None) -> None:
        self.model, self.whole, self.held_out, self.steps = model, whole, held_out, steps
        exchange, self.units = Exchange(), Units(model)
        self.checks: dict[str, Callable[[View], Iterator[Finding]]] = {
            "exchange": exchange.look,
            **({} if blank is None else {"blanks": Blanks(blank, exchange).look}),
            "spread": Spread().look,
            "units": self.units.look,
            "train_and_eval": TrainAndEval().look,
        }
        self.worst_rows = WorstRows()

    @property
    def names(self) -> list[str]:
        return [*self.checks, "worst_rows"]

    def look(self, found: Found, loss: Loss, batch: Any, step: int) -> None:
        """Look at the model before a step; what single checks find goes to `found`.

        Args:
            found: of the watch.
            loss: of the training.
            batch: that is trained on next.
            step: its number.
        """
        is_held_out = self.held_out is not None
        with apart(self.whole, loss), torch.no_grad():
            view = self._view(loss, self.held_out if is_held_out else batch, step, is_held_out)
            with self.units.recorded():
                view.plain  # noqa: B018
            for name, check in self.checks.items():
                found.check(name, partial(check, view))
            trained = self._view(loss, batch, step, False) if is_held_out else view
            found.check("worst_rows", partial(self.worst_rows.look, trained))

    def _view(self, loss: Loss, batch: Any, step: int, is_held_out: bool) -> View:
        return take_view(self.model, steadily(loss), copy_batch(batch), step, self.steps, is_held_out)
