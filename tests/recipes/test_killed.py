"""A run that is killed with -9 and started again, in processes of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from seqloss.recipes.checkpoints import load

EPOCHS = 3
TRAINING = f"""
import sys
from pathlib import Path
from seqloss.recipes.ocr import Settings, train
asked = Settings(
    painted=64, epochs={EPOCHS}, batch=8, height=16, validation_painted=8, test_painted=8, seed=int(sys.argv[2])
)
train(asked, Path(sys.argv[1]), workers=1, say=lambda line: print(line, flush=True))
"""
"""Painted words are drawn anew in every epoch, so the picture of an item, too, must follow from its epoch."""


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
    return load(folder / "checkpoints/last.ckpt")["state_dict"]


def kill_after(process: subprocess.Popen[str], epochs: int, seconds: float) -> None:
    """Kill -9 so long after so many epochs were told; a process that ended before that is no matter."""
    told = 0
    for line in process.stdout:
        told += line.startswith("epoch")
        if told >= epochs:
            break
    time.sleep(seconds)
    process.kill()
    process.communicate()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_killed_and_started_again_a_run_ends_with_the_weights_of_one_left_alone(tmp_path: Path) -> None:
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
