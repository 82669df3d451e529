"""RUN/history.json: what a run records of itself."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from seqloss.training.optim import warmup_then_cosine


def test_the_history_has_each_epoch_once_after_a_run_was_resumed(trained, train, tmp_path: Path) -> None:
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    before = json.loads((tmp_path / "run" / "history.json").read_text())
    train(trained[0], tmp_path / "run")
    after = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [epoch["epoch"] for epoch in after["epochs"]] == [1, 2]
    assert after["points"] == before["points"]


def test_the_history_holds_what_the_trainer_did(trained) -> None:
    history = json.loads((trained[1] / "history.json").read_text())
    assert history["clip"] == 5.0
    assert [point["step"] for point in history["points"]] == [1, 2, 3, 4, 5, 6]
    for point in history["points"]:
        assert point["clipped"] == float(point["norm"] > 5.0)
        assert 0 <= point["blank"] <= 1
        assert point["layers"]["network.head.weight"] > 0
    rates = [point["lr"] for point in history["points"]]
    assert rates == [pytest.approx(2e-3 * warmup_then_cosine(step, 6)) for step in range(6)]
    assert history["trainer"] == {"accelerator": "cpu", "devices": 1, "precision": "32-true", "batches": 3}
    assert history["versions"]["torch"] == version("torch")
