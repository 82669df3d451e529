"""Which epoch of a run is the best: it is kept, and a run without a better one stops.

The monitored metric decides. Among epochs that are equal in it, the one with the least validation loss is the best: an
edit distance over few items takes few values, and a model still improves where it stays the same. Such an epoch counts
as an improvement for `--patience`, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Checkpoint

from seqloss.training.task import Task

Rank = tuple[float, float]
"""(monitored metric, loss) of an epoch, so that less is better in both."""


def rank_epoch(task: Task, values: Mapping[str, Any]) -> Rank:
    """The rank of an epoch by its metrics of the validation items.

    Args:
        task: of the run; defines what is monitored.
        values: by name, such as "validation/loss".
    """
    sign = 1 if task.monitored.mode == "min" else -1
    metric, loss = (float(values[f"validation/{name}"]) for name in (task.monitor, "loss"))
    return _nan_is_worst(sign * metric), _nan_is_worst(loss)


def _nan_is_worst(value: float) -> float:
    return math.inf if math.isnan(value) else value


class BestEpoch(Checkpoint):
    """Saves the best epoch, and stops a run without a better one; a run that was resumed continues the count.

    Without held-out items, the last epoch is saved. A monitored metric that is not finite stops the run at once.

    Args:
        task: of the run; defines what is monitored, and its settings for how many epochs to wait.
        path: of the checkpoint.
    """

    def __init__(self, task: Task, path: Path) -> None:
        self.task, self.path = task, path
        self.best: Rank | None = None
        self.waited = 0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        trainer.should_stop |= self.waited >= self.task.settings.patience  # it had stopped before it was killed

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        values = trainer.callback_metrics
        rank = rank_epoch(self.task, values) if f"validation/{self.task.monitor}" in values else None
        better = rank is None or self.best is None or rank < self.best
        better = trainer.strategy.reduce_boolean_decision(better)
        self.waited = 0 if better else self.waited + 1
        if rank is not None and not math.isfinite(rank[0]):
            self.waited = self.task.settings.patience
        trainer.should_stop |= self.waited >= self.task.settings.patience
        if better:
            self.best = rank
            trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.waited = state_dict["best"], state_dict["waited"]
