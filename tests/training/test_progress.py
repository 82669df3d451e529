"""The lines that a person sees."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seqloss.errors import RunError
from seqloss.training.progress import EpochLines, format_metrics, result_lines
from seqloss.training.task import Metric


def make_module() -> Any:
    metrics = (Metric("loss", "loss", "loss"), Metric("exact", "acc", "exact match", "{:.1%}", "max"))
    task = SimpleNamespace(all_metrics=metrics, item="image", unit="nats/char")
    return SimpleNamespace(task=task, examples=[])


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    trainer = SimpleNamespace(
        is_global_zero=True, current_epoch=0, max_epochs=1, callback_metrics={"loss_epoch": torch.tensor(math.nan)}
    )
    with pytest.raises(RunError, match="the loss is not finite: lower --lr"):
        EpochLines(lambda line: None).on_train_epoch_end(trainer, make_module())


def test_metrics_are_shown_in_the_tasks_formats_and_unknown_ones_left_out() -> None:
    task = make_module().task
    values = {"validation/exact": torch.tensor(0.26), "validation/loss": 0.70712, "validation/other": 1.0}
    assert format_metrics(task, values, "validation/", "val") == "val_loss=0.7071 val_acc=26.0%"
    assert format_metrics(task, {"validation/exact": 1.0}, "validation/", "val") == "val_acc=100.0%"


def test_a_result_has_a_line_for_each_held_out_split() -> None:
    result = {"epochs": 2, "test": {"items": 3, "exact": 0.5}}
    assert list(result_lines(make_module().task, result)) == ["test: test_acc=50.0% (3 images, not used in training)"]
