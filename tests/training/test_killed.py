"""A run that is killed with -9 and resumed, in processes of its own; test_engine.py resumes in this process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from seqloss.training.checkpoints import load_checkpoint

EPOCHS = 3
TRAINING = f"""
import sys
from pathlib import Path
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.training.engine import train
asked = Settings(
    synthetic=64, epochs={EPOCHS}, batch=8, height=16, validation_synthetic=8, test_synthetic=8, seed=int(sys.argv[2])
)
train(OcrTask(asked), Path(sys.argv[1]), print_line=lambda line: print(line, flush=True))
"""
"""Synthetic words are drawn anew in every epoch, so the image of an item, too, must follow from its epoch."""


def start(folder: Path, seed: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(folder), str(seed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def left_alone(folder: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    process = start(folder, seed)
    process.communicate()
    assert process.returncode == 0
    return weights(folder)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]


def kill_after(process: subprocess.Popen[str], epochs: int, seconds: float) -> None:
    """Kill -9 so long after so many epochs were printed; a process that ended before that is no matter."""
    seen = 0
    for line in process.stdout:
        seen += line.startswith("epoch")
        if seen >= epochs:
            break
    time.sleep(seconds)
    process.kill()
    process.communicate()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.long
def test_killed_and_resumed_a_run_ends_with_the_weights_of_one_left_alone(tmp_path: Path) -> None:
    process = start(tmp_path / "killed")
    kill_after(process, 2, 0.0)  # while the second epoch's checkpoints are being written
    assert not (tmp_path / "killed/result.json").exists()
    assert same(left_alone(tmp_path / "killed"), left_alone(tmp_path / "alone"))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_many_moments_a_run_ends_with_the_weights_of_one_left_alone(tmp_path: Path, seed: int) -> None:
    expected = left_alone(tmp_path / "alone", seed)
    rng = random.Random(seed)
    for number in range(4):
        folder = tmp_path / f"killed-{number}"
        for _ in range(3):
            kill_after(start(folder, seed), rng.randrange(EPOCHS), rng.uniform(0, 3))
        assert same(left_alone(folder, seed), expected)
