"""The smallest recipe: regression of a sine. It trains, resumes to the same bits, reports and predicts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from seqloss.report import write_report
from seqloss.training.checkpoints import load_checkpoint
from seqloss.training.engine import overfit, train
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run
from seqloss.training.settings import RunOptions, TrainingSettings
from seqloss.training.task import Data, Example, Metric, Outputs, Source, Task


class Points(Source):
    """Points of a sine; those to train on (seed 0) differ in every epoch."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def item(self, epoch: int, index: int) -> tuple[float, float]:
        x = np.random.default_rng([self.seed, 0 if self.seed else epoch, index]).uniform(-3, 3)
        return x, np.sin(x)


class SineTask(Task):
    name = "sine"
    item = "point"
    unit = "squared error"

    def load_data(self, **_: Any) -> Data:
        return Data({"train": Points(512, 0), "validation": Points(64, 1), "test": Points(64, 2)})

    def collate(self, items: Sequence[tuple[float, float]]) -> Tensor:
        return torch.tensor(items, dtype=torch.float32)  # (batch, 2)

    def build_network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Dropout(0.01), nn.Linear(32, 1))

    def forward(self, network: nn.Module, batch: Tensor) -> Outputs:
        return {"y": network(batch[:, :1])}

    def loss(self, batch: Tensor, outputs: Outputs) -> Tensor:
        return nn.functional.mse_loss(outputs["y"], batch[:, 1:])

    def predict(self, network: nn.Module, given: float) -> float:
        return float(network(torch.tensor([[given]])))


SETTINGS = TrainingSettings(epochs=20, lr=0.02)
OPTIONS = RunOptions(workers=0)


class Killed(BaseException):
    pass


def die_in_epoch_3(line: str) -> None:
    if line.startswith("epoch   3"):
        raise Killed


def weights(folder: Path) -> dict[str, Tensor]:
    return load_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> tuple[Path, dict[str, Any], list[str]]:
    folder, lines = tmp_path_factory.mktemp("toy") / "run", []
    return folder, train(SineTask(SETTINGS), folder, OPTIONS, print_line=lines.append), lines


def test_it_learns_and_prints_its_own_words(run) -> None:
    _, result, lines = run
    assert lines[0].startswith("points: 512 train, 64 validation, 64 test; 20 epochs; run: ")
    assert lines[1].startswith("    loss before training: 0.")
    assert lines[1].endswith(" squared error")
    assert re.match(r"    examined: \d+ laws hold", lines[2])
    assert "points/s" in lines[3]
    assert result["test"]["loss"] < 0.01
    assert result["validation"]["items"] == 64


def test_the_result_is_that_of_the_best_epoch(run) -> None:
    epochs = json.loads((run[0] / "history.json").read_text())["epochs"]
    assert run[1]["validation"]["loss"] == pytest.approx(min(epoch["validation/loss"] for epoch in epochs), rel=1e-5)


def test_it_resumes_after_a_kill_to_the_same_bits(run, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(SineTask(SETTINGS), tmp_path / "run", OPTIONS, print_line=die_in_epoch_3)
    train(SineTask(SETTINGS), tmp_path / "run", OPTIONS, print_line=lambda line: None)
    ours, theirs = weights(tmp_path / "run"), weights(run[0])
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_with_smorms3_it_learns_and_resumes_to_the_same_bits(one_thread: None, tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=5, optimizer="smorms3")
    result = train(SineTask(settings), tmp_path / "whole", OPTIONS, print_line=lambda line: None)
    losses = [epoch["validation/loss"] for epoch in json.loads((tmp_path / "whole/history.json").read_text())["epochs"]]
    assert result["validation"]["loss"] < 0.7 * losses[0]
    with pytest.raises(Killed):
        train(SineTask(settings), tmp_path / "killed", OPTIONS, print_line=die_in_epoch_3)
    train(SineTask(settings), tmp_path / "killed", OPTIONS, print_line=lambda line: None)
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert (
        load_checkpoint(tmp_path / "killed/checkpoints/last.ckpt")["optimizer_states"][0]["state"][0]["memory"].min()
        > 1
    )


def test_it_has_a_report(run, tmp_path: Path) -> None:
    html = write_report(SineTask(SETTINGS), Run(run[0]), tmp_path / "report.html").read_text()
    assert html.count("<svg ") == 4 + 1  # loss, norm, clipping, learning rate; layers
    assert "loss (squared error)" in html
    assert "blank" not in html


def test_it_predicts(run) -> None:
    predictor = Predictor(SineTask(SETTINGS), Run(run[0]))
    assert [predictor.predict(x) for x in (-1.0, 0.5, 2.0)] == pytest.approx(np.sin([-1.0, 0.5, 2.0]), abs=0.15)


def test_it_can_be_overfit(capsys: pytest.CaptureFixture[str]) -> None:
    assert overfit(SineTask(SETTINGS), 8, OPTIONS)
    assert capsys.readouterr().out.startswith("PASS: overfit 8 points in ")


class MonitoredTask(SineTask):
    """The more points are near the sine, the better."""

    metrics = (Metric("near", "near", "points near the sine", "{:.0%}", mode="max", chart="near"),)
    monitor = "near"

    def make_metrics(self) -> dict[str, MeanMetric]:
        return {"near": MeanMetric()}

    def update_metrics(self, metrics: Mapping[str, Any], batch: Tensor, outputs: Outputs) -> Sequence[Example]:
        near = (outputs["y"] - batch[:, 1:]).abs() < 0.1
        metrics["near"].update(near.float())
        return [Example(f"{y:.1f}", f"{found:.1f}") for y, found in zip(batch[:, 1], outputs["y"][:, 0], strict=True)]

    def empty_input(self, batch: Tensor) -> Tensor:
        return batch * torch.tensor([0.0, 1.0])


def test_a_metric_that_is_to_grow_is_printed_monitored_and_drawn(one_thread: None, tmp_path: Path) -> None:
    task, folder, lines = MonitoredTask(TrainingSettings(epochs=4, lr=0.02)), tmp_path / "run", []
    result = train(task, folder, OPTIONS, print_line=lines.append)
    shares = [epoch["validation/near"] for epoch in json.loads((folder / "history.json").read_text())["epochs"]]
    assert len(set(shares)) > 1
    assert result["validation"]["near"] == pytest.approx(max(shares))
    printed = "\n".join(lines)
    assert f" val_near={shares[-1]:.0%}  " in printed
    assert printed.count("    target -> prediction: '") == 4
    assert " with empty points: the model uses its input" in printed
    html = write_report(task, Run(folder), tmp_path / "report.html").read_text()
    assert html.count("<svg ") == 5 + 1
    assert f"<b>{max(shares):.0%}</b><span>points near the sine, epoch {1 + shares.index(max(shares))}</span>" in html
    assert "validation, empty points" in html
