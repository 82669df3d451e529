"""What a person sees of a training: a bar that moves while an epoch is trained, and a line when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seqloss.errors import RunError
from seqloss.recipes.first_checks import tell_blanked

TOLD = {"loss_step": "loss {:.3f}", "validation/distance": "distance {:.4f}", "items/s": "{:.0f} items/s"}


class EpochBar(Callback):
    """A progress bar on stderr, gone when the epoch ends, so that lines on stdout go where they belong.

    Args:
        console: where the bar is drawn.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.bar: Progress | None = None

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self.bar = Progress(
            TextColumn(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            transient=True,
            redirect_stdout=False,
        )
        self.bar.add_task("", total=trainer.num_training_batches)
        self.bar.start()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=batch_idx + 1, description=told(trainer))

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.stop()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        self.stop()

    def stop(self) -> None:
        if self.bar:
            self.bar.stop()
        self.bar = None


def told(trainer: Any) -> str:
    """The measures of this moment that are known, in words."""
    measures = trainer.progress_bar_metrics
    return "  ".join(words.format(measures[name]) for name, words in TOLD.items() if name in measures)


class EpochLines(Callback):
    """A line an epoch, with a few pictures' texts as they are and as they were read."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.items = 0
        self.start = 0.0
        self.rate = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.items, self.start = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.items += len(batch.texts)
        self.rate = self.items / max(1e-9, time.perf_counter() - self.start)
        module.log("items/s", self.rate, prog_bar=True, batch_size=1)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        measured = trainer.callback_metrics
        line = f"epoch {trainer.current_epoch + 1:3d}/{trainer.max_epochs}  loss {measured['loss_epoch']:.4f}"
        if "validation/distance" in measured:
            line += (
                f"  validation: distance {measured['validation/distance']:.4f}, "
                f"exact {measured['validation/exact']:.1%}, loss {measured['validation/loss']:.4f}"
            )
        self.say(f"{line}  {self.rate:.0f} items/s")
        if trainer.current_epoch == 0 and "validation/blanked" in measured:
            found, blanked = (float(measured[f"validation/{name}"]) for name in ("loss", "blanked"))
            self.say(f"    {tell_blanked(found, blanked)}")
        if module.shown:
            self.say("    " + "   ".join(f"{truth!r} read {read!r}" for truth, read in module.shown))
        if not torch.isfinite(measured["loss_epoch"]):
            raise RunError("the loss is no longer a number: give a lower --lr, and --fresh to start anew.")
