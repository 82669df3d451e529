"""RUN/history.json: the course of a run, from which its report is drawn.

points    about 20 per epoch: its last step; means over its steps of loss, learning rate, norm of the gradient before
          clipping, share of clipped steps, and the task's step values; each layer's mean |gradient| at its first step
epochs    metrics at the end of each epoch
clip      the largest norm of the gradient, or null
trainer   accelerator, devices, precision, batches per epoch. versions: of the packages that train
"""

from __future__ import annotations

import importlib.metadata
import math
import time
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from seqloss.doctor.gradient_flow import mean_gradients
from seqloss.training.run import Run

POINTS = 20
"""Per epoch."""

SECONDS = 5.0
"""At least between two writes within an epoch."""

PACKAGES = ("seqloss", "torch", "lightning", "numpy", "numba")


class History(Callback):
    """Writes RUN/history.json; a resumed run continues after its finished epochs."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.record: dict[str, Any] = {}
        self.steps: list[dict[str, float]] = []
        self.layers: dict[str, float] = {}
        self.norm, self.learning_rate = math.nan, math.nan
        self.start, self.written = 0.0, 0.0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        known = self.run.read_json("history") or {}
        done = trainer.current_epoch
        self.record = {
            "clip": trainer.gradient_clip_val,
            "trainer": {
                "accelerator": type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
                "devices": trainer.num_devices,
                "precision": trainer.precision,
                "batches": trainer.num_training_batches,
            },
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
            "points": [point for point in known.get("points", []) if point["epoch"] <= done],
            "epochs": known.get("epochs", [])[:done],
        }

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.start = time.monotonic()

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        """Lightning clips after this."""
        gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
        self.learning_rate = optimizer.param_groups[0]["lr"]
        self.norm = float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0
        if not self.layers:
            self.layers = mean_gradients(module)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        clip = trainer.gradient_clip_val or math.inf
        self.steps.append(
            {
                "loss": float(outputs["loss"]),
                "lr": self.learning_rate,
                "norm": self.norm,
                "clipped": float(self.norm > clip),
                **module.task.record_step(outputs),
            }
        )
        every = max(1, trainer.num_training_batches // POINTS)
        if (batch_idx + 1) % every == 0 or batch_idx + 1 == trainer.num_training_batches:
            self._add_point(trainer)

    def _add_point(self, trainer: Any) -> None:
        means = {name: sum(step[name] for step in self.steps) / len(self.steps) for name in self.steps[0]}
        self.record["points"].append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                **means,
                "layers": self.layers,
            }
        )
        self.steps, self.layers = [], {}
        if trainer.is_global_zero and time.monotonic() > self.written + SECONDS:
            self._write()

    def _write(self) -> None:
        self.run.write_json("history", self.record)
        self.written = time.monotonic()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.record["epochs"].append(
            {
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "seconds": round(time.monotonic() - self.start, 1),
                "loss": measured.get("loss_epoch", math.nan),
                **{name: value for name, value in measured.items() if name.startswith("validation/")},
            }
        )
        if trainer.is_global_zero:
            self._write()
