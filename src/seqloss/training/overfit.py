"""The overfit test: can the network learn a few items? A correctly wired one can."""

from __future__ import annotations

from collections.abc import Callable

import torch

from seqloss.doctor.sanity_checks import describe_overfit, overfit_batch
from seqloss.errors import OptionError
from seqloss.training.batches import BatchDataset
from seqloss.training.examination import describe_findings, examine_training
from seqloss.training.settings import RunOptions
from seqloss.training.task import Batch, Progress, Task
from seqloss.training.trainer import silence_libraries, start_fabric


def overfit(
    task: Task,
    count: int,
    options: RunOptions | None = None,
    *,
    print_line: Callable[[str], None] = print,
    progress: Progress | None = None,
) -> bool:
    """Train on one batch of the first training items, without augmentation and dropout. Nothing is written.

    The same steps with empty input are tried too, if the task can empty it, and reported beside the result.

    Args:
        task: of a recipe; its optimizer and learning rate are used.
        count: number of items.
        options: accelerator, precision, skip_bad and examine, as for `train`.
        print_line: called with each line of text: what the examination finds, if anything, then the result.
        progress: called with (steps taken, most steps).

    Returns:
        whether the loss came down to the task's `overfit_loss`.

    Raises:
        OptionError: there are fewer items.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.recipes.autoencoder.settings import Settings
        >>> from seqloss.recipes.autoencoder.task import AutoencoderTask
        >>> from seqloss.training.engine import overfit
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder) / "log.csv"
        ...     _ = table.write_text("a,b\\n" + "".join(f"{n % 7},{n % 5}\\n" for n in range(900)))
        ...     task = AutoencoderTask(Settings(data=str(table)))
        ...     overfit(task, 2, print_line=lambda line: None)
        True
    """
    options = options or RunOptions()
    silence_libraries()
    data = task.load_data(skip_bad=options.skip_bad, print_line=print_line)
    source = data.sources["train"].without_augmentation()
    if not 1 <= count <= len(source):
        held_out = sum(map(len, data.sources.values())) - len(source)
        expected = f"1 to {len(source)} training {task.item}s ({held_out} more are held out)"
        raise OptionError(f"--overfit: found {count}, expected {expected}.")
    batch = BatchDataset(source, task.collate).first_items(0, count)
    emptied = task.empty_input(batch)
    fabric = start_fabric(**{**options.for_trainer(), "devices": 1})
    if options.examine:
        _print_findings(task, batch, print_line)

    def steps_and_loss(given: Batch, most: int | None) -> tuple[int, float]:
        torch.manual_seed(task.settings.seed)
        module = task.build_network()
        network, optimizer = fabric.setup(module, task.make_optimizer(module))
        given = fabric.to_device(given)
        return overfit_batch(
            network,
            optimizer,
            lambda: task.loss(given, task.forward(network, given)),
            goal=task.overfit_loss,
            most=most,
            clip=task.gradient_clip,
            backward=fabric.backward,
            progress=progress,
        )

    steps, loss = steps_and_loss(batch, None)
    empty_loss = None if emptied is None else steps_and_loss(emptied, steps)[1]
    print_line(describe_overfit(count, steps, loss, empty_loss, goal=task.overfit_loss, unit=task.unit, item=task.item))
    return loss <= task.overfit_loss


def _print_findings(task: Task, batch: Batch, print_line: Callable[[str], None]) -> None:
    """What breaks a law of trainings, before anything is tried; nothing if all hold."""
    torch.manual_seed(task.settings.seed)
    network = task.build_network()
    findings = examine_training(task, network, [batch], task.make_optimizer(network))
    if findings:
        for line in describe_findings(findings):
            print_line(line)
