"""The LightningModule that every recipe is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from seqloss.training.checkpoints import check_weights
from seqloss.training.optim import with_schedule
from seqloss.training.task import Batch, Example, Task

EXAMPLES = 3
"""Held-out items that each epoch shows."""


class TaskModule(lightning.LightningModule):
    """A task's network with its loss, optimizer and metrics.

    Args:
        task: of the recipe.
        steps: of the whole training, for the learning rate schedule.
    """

    def __init__(self, task: Task, steps: int) -> None:
        super().__init__()
        self.task, self.steps = task, steps
        self.network = task.build_network()
        self.held_out_metrics = nn.ModuleDict({"loss": MeanMetric(), **task.make_metrics()})
        self.empty_input_loss = MeanMetric()
        self.examples: list[Example] = []

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if batch_idx == 0:  # dropout follows from the epoch, so that a resumed run meets the same
            torch.manual_seed(self.task.settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        outputs = self.task.forward(self.network, batch)
        loss = self.task.loss(batch, outputs)
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=self.task.loss_weight(batch))
        return {"loss": loss, **{name: tensor.detach() for name, tensor in outputs.items()}}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch)
        emptied = self.task.empty_input(batch)
        if emptied is not None:
            loss = self.task.loss(batch, self.task.forward(self.network, emptied))
            self.empty_input_loss.update(loss, weight=self.task.loss_weight(batch))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch)

    def on_validation_epoch_start(self) -> None:
        self.examples = []

    def on_validation_epoch_end(self) -> None:
        self._add_examples(self.task.split_examples(dict(self.held_out_metrics.items())))  # type: ignore[arg-type]
        self._log_metrics("validation")
        if self.empty_input_loss.update_called:
            self.log("validation/empty_input", self.empty_input_loss.compute())
            self.empty_input_loss.reset()

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_weights(self, checkpoint["state_dict"])

    def configure_optimizers(self) -> Any:
        optimizer = self.task.make_optimizer(self)
        return with_schedule(optimizer, lambda step: self.task.learning_rate_factor(step, self.steps))

    def _measure(self, batch: Batch) -> None:
        outputs = self.task.forward(self.network, batch)
        loss = self.task.loss(batch, outputs)
        metrics: dict[str, Any] = dict(self.held_out_metrics.items())
        metrics.pop("loss").update(loss, weight=self.task.loss_weight(batch))
        self._add_examples(self.task.update_metrics(metrics, batch, outputs))

    def _add_examples(self, examples: Sequence[Example]) -> None:
        self.examples += examples[: max(0, EXAMPLES - len(self.examples))]

    def _log_metrics(self, stage: str) -> None:
        for name, metric in self.held_out_metrics.items():
            value = metric.compute()  # type: ignore[operator]
            self.log(f"{stage}/{name}", value, prog_bar=name == self.task.monitor)
            metric.reset()  # type: ignore[operator]
