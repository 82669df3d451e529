"""Every training is examined before its first step: are there faults of model, loss, optimizer or schedule?

The weights that a run ends with are the same with and without.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from torch import nn

from seqloss.counts import format_count
from seqloss.doctor.examination import examine
from seqloss.doctor.findings import Findings, describe_error
from seqloss.training.task import Batch, Task

SECONDS = 30.0
"""Laws that would begin later are not checked. With their defaults, the recipes need up to four seconds on one core."""

QUIET = 2.0
"""Seconds after which a terminal shows what is being checked."""


def examine_training(
    task: Task,
    network: nn.Module,
    batches: Sequence[Batch],
    optimizer: Any,
    scheduler: Any = None,
    steps: int | None = None,
    console: Console | None = None,
) -> Findings:
    """Check the laws of a training; network, optimizer, schedule and random states are afterwards as before.

    An error within stops nothing: it is the reason in `not_checked`.

    Args:
        task: its forward and loss are used.
        network: on the device of the batches.
        batches: of the training; the first two are used.
        optimizer: of the training.
        scheduler: of the learning rate; None if it is constant.
        steps: of the whole training.
        console: where progress is shown; None for stderr.

    Returns:
        Findings, errors first.
    """
    try:
        with _progress(console or Console(stderr=True)) as show_law:
            return examine(
                network,
                batches,
                lambda network, batch: task.loss(batch, task.forward(network, batch)),
                optimizer=optimizer,
                scheduler=scheduler,
                steps=steps,
                seconds=SECONDS,
                progress=show_law,
            )
    except Exception as error:  # what stops the training itself will be raised by its first step
        return Findings(not_checked={"all laws": describe_error(error)})


def describe_findings(findings: Findings) -> Iterator[str]:
    """A line for each finding and what to do; a line that says what was checked if there is none."""
    for finding in findings:
        yield " ".join(finding.head.split())
        yield f"    {finding.fix.rstrip('.')}."
    if not findings and findings.checked:
        left_out = f" (not checked: {', '.join(findings.not_checked)})" if findings.not_checked else ""
        verb = "holds" if len(findings.checked) == 1 else "hold"
        yield f"examined: {format_count(len(findings.checked), 'law')} {verb}{left_out}"
    elif not findings:
        yield f"not examined: {'; '.join(dict.fromkeys(findings.not_checked.values()))}"


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """A function to call with the name of each law. A terminal shows it once two seconds are over."""
    bar = Progress(
        SpinnerColumn(), TextColumn("examining: {task.description}"), console=console, transient=True,
        redirect_stdout=False, disable=not console.is_terminal,
    )  # fmt: skip
    shown = bar.add_task("the loss")
    timer = threading.Timer(QUIET, bar.start)  # a law can take longer than that
    timer.daemon = True
    timer.start()
    try:
        yield lambda law: bar.update(shown, description=law)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
