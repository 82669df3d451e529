"""Which epoch is kept as the best, and when a run stops without a better one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from seqloss.report.record import read_record
from seqloss.training.batches import Source
from seqloss.training.best_epoch import BestEpoch
from seqloss.training.checkpoints import load_checkpoint
from seqloss.training.engine import train
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions, TrainingSettings
from seqloss.training.task import Data, Example, Metric, Outputs, Task

OPTIONS = RunOptions(workers=0, examine=False)


class Lines(Source):
    """Points of the line y = 2 x."""

    def __len__(self) -> int:
        return 32

    def item(self, epoch: int, index: int) -> tuple[float, float]:
        return index / 32, index / 16


class LineTask(Task):
    """Regression of a line. The monitored metric is the same in all epochs, the loss falls and then rises."""

    name = "line"
    metrics = (Metric("errors", "errors", "errors"),)
    monitor = "errors"

    def load_data(self, **_: Any) -> Data:
        return Data({name: Lines() for name in ("train", "validation")})

    def collate(self, items: Sequence[tuple[float, float]]) -> Tensor:
        return torch.tensor(items, dtype=torch.float32)  # (batch, 2)

    def build_network(self) -> nn.Module:
        return nn.Linear(1, 1)

    def forward(self, network: nn.Module, batch: Tensor) -> Outputs:
        return {"y": network(batch[:, :1])}

    def loss(self, batch: Tensor, outputs: Outputs) -> Tensor:
        return nn.functional.mse_loss(outputs["y"], batch[:, 1:])

    def make_metrics(self) -> dict[str, MeanMetric]:
        return {"errors": MeanMetric()}

    def update_metrics(self, metrics: Mapping[str, Any], batch: Tensor, outputs: Outputs) -> Sequence[Example]:
        metrics["errors"].update(0.25)
        return ()


class GrowingTask(LineTask):
    metrics = (Metric("errors", "hits", "hits", mode="max"),)


@pytest.fixture(scope="module")
def equal(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> tuple[Run, dict[str, Any]]:
    """A run whose epochs are equal in the monitored metric."""
    run = Run(tmp_path_factory.mktemp("equal") / "run")
    settings = TrainingSettings(epochs=6, lr=0.05, patience=2)
    return run, train(LineTask(settings), run.folder, OPTIONS, print_line=lambda line: None)


def test_among_epochs_of_an_equal_metric_the_one_of_least_loss_is_measured(equal) -> None:
    run, result = equal
    losses = [epoch["validation/loss"] for epoch in run.read_json("history")["epochs"]]
    assert min(losses) < losses[0]
    assert result["validation"]["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_the_report_names_the_epoch_whose_weights_are_kept(equal) -> None:
    run, _ = equal
    task = LineTask(TrainingSettings())
    assert read_record(task, run).best_epoch["epoch"] == load_checkpoint(run.best)["epoch"] + 1 > 1


def test_a_lower_loss_at_an_equal_metric_counts_as_improvement_for_patience(equal) -> None:
    assert equal[1]["epochs"] > TrainingSettings(patience=2).patience + 1


# --- the callback by itself


def ran(task: Task, epochs: Sequence[tuple[float, float]], best: BestEpoch | None = None) -> tuple[list[int], int]:
    """(numbers of the epochs that are saved, of the epoch that stops the run or 0) for (metric, loss) of each epoch."""
    saved: list[int] = []
    trainer = SimpleNamespace(
        should_stop=False,
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision: decision),
        save_checkpoint=lambda path: saved.append(number),
    )
    best = best or BestEpoch(task, Path("best.ckpt"))
    best.on_train_start(trainer, None)
    number = 0
    for number, (metric, loss) in enumerate(epochs, 1):
        trainer.callback_metrics = {"validation/errors": torch.tensor(metric), "validation/loss": torch.tensor(loss)}
        best.on_train_epoch_end(trainer, None)
        if trainer.should_stop:
            return saved, number
    return saved, 0


def task(patience: int = 3) -> LineTask:
    return LineTask(TrainingSettings(patience=patience))


def test_the_monitored_metric_comes_before_the_loss() -> None:
    assert ran(task(), [(0.5, 1.0), (0.4, 2.0), (0.5, 0.1)]) == ([1, 2], 0)


def test_of_epochs_that_are_equal_in_both_the_first_is_kept() -> None:
    assert ran(task(), [(0.5, 1.0), (0.5, 1.0)]) == ([1], 0)


def test_a_metric_that_is_to_grow_is_kept_at_its_largest_and_of_those_at_the_least_loss() -> None:
    growing = GrowingTask(TrainingSettings(patience=3))
    assert ran(growing, [(0.5, 1.0), (0.6, 1.0), (0.5, 0.1), (0.6, 0.9)]) == ([1, 2, 4], 0)


def test_a_run_stops_after_patience_epochs_without_a_better_one() -> None:
    assert ran(task(2), [(0.5, 1.0), (0.5, 1.0), (0.5, 2.0), (0.4, 0.5)]) == ([1], 3)


def test_an_epoch_of_equal_metric_and_lower_loss_begins_the_count_anew() -> None:
    assert ran(task(2), [(0.5, 1.0), (0.5, 1.0), (0.5, 0.9), (0.6, 0.1), (0.5, 0.9)]) == ([1, 3], 5)


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_is_the_worst_of_equals_and_stops_nothing(loss: float) -> None:
    assert ran(task(), [(0.5, loss), (0.5, 1.0), (0.5, loss)]) == ([1, 2], 0)


@pytest.mark.parametrize("metric", [math.inf, math.nan])
def test_a_monitored_metric_that_is_not_finite_stops_the_run(metric: float) -> None:
    assert ran(task(), [(0.5, 1.0), (metric, 1.0)]) == ([1], 2)


def test_the_first_epoch_is_kept_though_its_metric_is_not_finite() -> None:
    assert ran(task(), [(math.nan, 1.0)]) == ([1], 1)


def test_a_resumed_run_knows_the_best_epoch_and_how_long_it_has_waited(tmp_path: Path) -> None:
    before, after = (BestEpoch(task(3), tmp_path / "best.ckpt") for _ in range(2))
    ran(task(3), [(0.5, 1.0), (0.5, 2.0)], before)
    torch.save(before.state_dict(), tmp_path / "state")
    after.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert ran(task(3), [(0.5, 1.5), (0.5, 1.0)], after) == ([], 2)


def test_without_held_out_items_the_last_epoch_is_kept(one_thread: None, tmp_path: Path) -> None:
    class Alone(LineTask):
        def load_data(self, **_: Any) -> Data:
            return Data({"train": Lines()})

    train(Alone(TrainingSettings(epochs=3, patience=1)), tmp_path / "run", OPTIONS, print_line=lambda line: None)
    assert load_checkpoint(tmp_path / "run/checkpoints/best.ckpt")["epoch"] == 2
