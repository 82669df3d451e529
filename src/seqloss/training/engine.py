"""The training engine: train a task, resume it after a kill, and measure its best epoch.

Everything random follows from (seed, epoch, index), and the last checkpoint holds the optimizer, the schedule and the
epoch. A run that was killed at any moment ends with the same weights as one that was not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from seqloss.counts import format_count
from seqloss.data import write_skipped
from seqloss.doctor.examination import BATCHES
from seqloss.doctor.sanity_checks import describe_first_loss
from seqloss.doctor.snapshot import random_states
from seqloss.training.batches import BatchDataset, BatchSampler, make_loader
from seqloss.training.best_epoch import BestEpoch
from seqloss.training.checkpoints import AtomicCheckpoints, SaveLastEpoch, load_checkpoint
from seqloss.training.examination import describe_findings, examine_training
from seqloss.training.findings import RunFindings
from seqloss.training.history import History
from seqloss.training.module import TaskModule
from seqloss.training.overfit import overfit
from seqloss.training.progress import EpochBar, EpochLines, result_lines
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions
from seqloss.training.task import Data, PrintLine, Progress, Task
from seqloss.training.trainer import forward_signals, silence_libraries, start_trainer
from seqloss.training.watching import WatchRun

__all__ = ["overfit", "train"]


def train(
    task: Task,
    folder: Path,
    options: RunOptions | None = None,
    *,
    print_line: PrintLine = print,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a task, or resume a training that was killed, and measure the best epoch on held-out items.

    Args:
        task: of a recipe, with its settings.
        folder: of the run; the same call again resumes it.
        options: how the run is executed; they may differ when it is resumed.
        print_line: called with each line of text.
        progress: called with (rows checked, all rows) while the data are checked.

    Returns:
        metrics of the best epoch for each held-out split; also written to RUN/result.json.

    Raises:
        DataError: there are invalid rows; its `rows` lists them all.
        RunError: the folder holds another run; a checkpoint cannot be read or written.
        OptionError: Lightning refuses accelerator, devices or precision.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from seqloss.recipes.autoencoder.settings import Settings
        >>> from seqloss.recipes.autoencoder.task import AutoencoderTask
        >>> from seqloss.training.engine import train
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table, run = Path(folder) / "log.csv", Path(folder) / "run"
        ...     _ = table.write_text("a,b\\n" + "".join(f"{n % 7},{n % 5}\\n" for n in range(900)))
        ...     found = train(AutoencoderTask(Settings(data=str(table), epochs=1)), run, print_line=lambda line: None)
        >>> sorted(found)
        ['epochs', 'test', 'validation']
    """
    options = options or RunOptions()
    silence_libraries()
    run = Run(folder)
    main = int(os.environ.get("LOCAL_RANK", "0")) == 0
    if not main:
        print_line = _print_nothing
    if not options.fresh:
        task.restore(run)
    data = task.load_data(skip_bad=options.skip_bad, progress=progress, print_line=print_line)
    identity = {"recipe": task.name, **asdict(task.settings), **data.digests}
    with run.begin(identity, fresh=options.fresh) if main else nullcontext():
        if main:
            task.save(run)
            _report_skipped(run, data, print_line)
        result = run.read_json("result")
        if result is not None:
            print_line(f"{folder}: this run is already finished; start over with --fresh.")
        else:
            result = _fit(task, run, data, options, print_line)
            if main:
                run.write_json("result", result)
        for line in result_lines(task, result):
            print_line(line)
        return result


def _print_nothing(line: str) -> None:
    """What all processes but the first one print."""


def _report_skipped(run: Run, data: Data, print_line: PrintLine) -> None:
    if data.skipped:
        write_skipped(run.skipped, data.skipped)
        print_line(f"skipped {format_count(len(data.skipped), 'invalid row')}: see {run.skipped}")
        if data.note:
            print_line(f"    {data.note}")


def _fit(task: Task, run: Run, data: Data, options: RunOptions, print_line: PrintLine) -> dict[str, Any]:
    """Train from the last finished epoch on, then measure the best one."""
    torch.manual_seed(task.settings.seed)  # the weights follow from it
    findings = RunFindings(run)
    watching = [WatchRun(task, findings, print_line)] if options.examine else []
    trainer = start_trainer(
        **options.for_trainer(),
        max_epochs=task.settings.epochs,
        default_root_dir=run.folder,
        plugins=[AtomicCheckpoints()],
        callbacks=[*watching, findings, *_make_callbacks(task, run, print_line)],
        logger=TensorBoardLogger(run.folder, name="logs", version=""),
        gradient_clip_val=task.gradient_clip,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    loaders = _make_loaders(task, data, options, trainer)
    train_loader = loaders.pop("train")
    module = TaskModule(task, task.settings.epochs * len(train_loader))
    resumed = _find_last_epoch(run, train_loader, print_line)
    counts = ", ".join(f"{len(source)} {name}" for name, source in data.sources.items())
    details = [
        f"{task.item}s: {counts}",
        task.describe_data(),
        format_count(task.settings.epochs, "epoch"),
        f"run: {run.shown}",
    ]
    print_line("; ".join(detail for detail in details if detail))
    if not resumed and trainer.is_global_zero:
        for line in _check_before_first_step(module, data, train_loader, findings if options.examine else None):
            print_line(f"    {line}")
    with forward_signals(trainer):
        trainer.fit(module, train_loader, loaders.get("validation"), ckpt_path=resumed)
        return _measure_best_epoch(trainer, module, run, loaders)


def _make_callbacks(task: Task, run: Run, print_line: PrintLine) -> list[Callback]:
    """Progress, history, checkpoints and early stopping."""
    bar = [EpochBar()] if sys.stderr.isatty() else []
    return [*bar, History(run), EpochLines(print_line), BestEpoch(task, run.best), SaveLastEpoch(run.last)]


def _make_loaders(
    task: Task, data: Data, options: RunOptions, trainer: lightning.Trainer
) -> dict[str, DataLoader[Any]]:
    """A loader for each split; only the training items are shuffled, and prepared in worker processes."""
    loaders = {}
    for name, source in data.sources.items():
        seed, workers = (task.settings.seed, options.workers) if name == "train" else (None, 0)
        order = BatchSampler(source, task.settings.batch, seed, trainer.global_rank, trainer.world_size)
        loaders[name] = make_loader(BatchDataset(source, task.collate), order, workers)
    return loaders


def _find_last_epoch(run: Run, train_loader: DataLoader[Any], print_line: PrintLine) -> str | None:
    """The checkpoint to resume from, if there is one."""
    if not run.last.exists():
        return None
    print_line(f"resuming from {run.last}")
    # Lightning starts the loader's workers before it sets the epoch
    train_loader.sampler.set_epoch(load_checkpoint(run.last)["epoch"] + 1)  # type: ignore[attr-defined]
    return str(run.last)


def _check_before_first_step(
    module: TaskModule, data: Data, loader: DataLoader[Any], findings: RunFindings | None
) -> Iterator[str]:
    """The task's own checks, the loss of the first batch without dropout, and the laws of a training.

    Batches follow from seed and epoch alone, so that the loader meets the same ones afterwards.
    """
    task = module.task
    yield from task.check_data(module.network, data)
    with random_states():
        batches = [loader.dataset[keys] for keys in islice(loader.sampler, 1 if findings is None else BATCHES)]
    batch = batches[0]
    module.eval()
    with torch.no_grad():
        outputs = task.forward(module.network, batch)
        loss = float(task.loss(batch, outputs))
    module.train()
    yield from task.check_outputs(outputs)
    yield describe_first_loss(loss, task.baseline_loss(batch, outputs), task.unit, task.baseline_name)
    if findings is not None:
        plan = module.configure_optimizers()  # the training makes its own
        schedule = plan["lr_scheduler"]["scheduler"]
        found = examine_training(task, module.network, batches, plan["optimizer"], schedule, module.steps)
        findings.add(found)
        yield from describe_findings(found)


def _measure_best_epoch(
    trainer: lightning.Trainer, module: TaskModule, run: Run, loaders: dict[str, DataLoader[Any]]
) -> dict[str, Any]:
    """Metrics of the best epoch for each held-out split."""
    module.load_state_dict(run.best_weights())
    result: dict[str, Any] = {"epochs": trainer.current_epoch}
    for name, batches in loaders.items():
        measured = trainer.test(module, batches, verbose=False)[0]
        count = len(batches.dataset.source)  # type: ignore[attr-defined]
        metrics = {metric.name: measured[f"test/{metric.name}"] for metric in module.task.all_metrics}
        result[name] = {"items": count, **metrics}
    return result
