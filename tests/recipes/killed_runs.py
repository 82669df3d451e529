"""A run that is killed and resumed, for the tests of every recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqloss.training.checkpoints import load_checkpoint


class Killed(BaseException):
    """No recipe catches it."""


def die_in_epoch_2(line: str) -> None:
    """Takes a line that a run prints; the second epoch's comes before its checkpoint."""
    if line.startswith("epoch   2"):
        raise Killed


def check_killed_run(train: Callable[..., Any], data: Path, home: Path, **options: Any) -> None:
    """Train once without a break and once with one; raise unless the weights are the same bits."""
    train(data, home / "whole", **options)
    with pytest.raises(Killed):
        train(data, home / "killed", print_line=die_in_epoch_2, **options)
    train(data, home / "killed", **options)
    whole, killed = (
        load_checkpoint(home / name / "checkpoints/last.ckpt")["state_dict"] for name in ("whole", "killed")
    )
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
