"""What a person sees of a training: a progress bar, a line per epoch, and the lines of the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seqloss.counts import format_count
from seqloss.doctor.sanity_checks import describe_input_ablation
from seqloss.errors import RunError
from seqloss.training.task import Task

RATE = "items/s"


def format_metrics(task: Task, values: Mapping[str, Any], split: str, prefix: str) -> str:
    """The metrics that are known, in the task's formats: "val_loss=3.1381 val_ned=0.9536"."""
    return " ".join(
        f"{prefix}_{metric.short}={metric.format.format(float(values[f'{split}{metric.name}']))}"
        for metric in task.all_metrics
        if f"{split}{metric.name}" in values
    )


def result_lines(task: Task, result: Mapping[str, Any]) -> Iterator[str]:
    """A line for each held-out split of a result."""
    for name, measured in result.items():
        if isinstance(measured, Mapping):
            line = format_metrics(task, measured, "", "val" if name == "validation" else name)
            yield f"{name}: {line} ({format_count(measured['items'], task.item)}, not used in training)"


class EpochBar(Callback):
    """A progress bar on stderr, gone when the epoch ends.

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
            description = describe_step(module.task, trainer.progress_bar_metrics)
            self.bar.update(self.bar.task_ids[0], completed=batch_idx + 1, description=description)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.stop()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        self.stop()

    def stop(self) -> None:
        if self.bar:
            self.bar.stop()
        self.bar = None


def describe_step(task: Task, values: Mapping[str, Any]) -> str:
    """What is known in the middle of an epoch: "loss=3.138 val_ned=0.9536 240 images/s"."""
    words = [f"loss={values['loss_step']:.3f}"] if "loss_step" in values else []
    words += [known] if (known := format_metrics(task, values, "validation/", "val")) else []
    words += [f"{values[RATE]:.0f} {task.item}s/s"] if RATE in values else []
    return " ".join(words)


class EpochLines(Callback):
    """A line per epoch with its metrics, then a few held-out items with their predictions.

    Args:
        print_line: called with each line.

    Raises:
        RunError: the loss is not finite.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self.print_line = print_line
        self.items = 0
        self.start = 0.0
        self.rate = 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.items, self.start = 0, time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.items += module.task.count_items(batch) * trainer.world_size  # other processes have as many
        self.rate = self.items / max(1e-9, time.perf_counter() - self.start)
        module.log(RATE, self.rate, prog_bar=True, batch_size=1)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        for line in self._lines(trainer.callback_metrics, trainer.current_epoch, trainer.max_epochs, module):
            self.print_line(line)
        if not torch.isfinite(trainer.callback_metrics["loss_epoch"]):
            raise RunError("the loss is not finite: lower --lr, then start over with --fresh.")

    def _lines(self, values: Mapping[str, Any], epoch: int, epochs: int, module: Any) -> Iterator[str]:
        task = module.task
        held_out = format_metrics(task, values, "validation/", "val")
        rate = f"{self.rate:.0f} {task.item}s/s"
        yield "  ".join(
            [f"epoch {epoch + 1:3d}/{epochs}", f"loss={values['loss_epoch']:.4f} {held_out}".rstrip(), rate]
        )
        if epoch == 0 and "validation/empty_input" in values:
            found, emptied = (float(values[f"validation/{name}"]) for name in ("loss", "empty_input"))
            yield f"    {describe_input_ablation(found, emptied, task.unit, task.item)}"
        if module.examples:
            pairs = "   ".join(f"{target!r} -> {prediction!r}" for target, prediction in module.examples)
            yield f"    {task.example_title}: {pairs}"
