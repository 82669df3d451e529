"""The overfit test passes for a network that is wired correctly, and fails for one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seqloss.doctor import sanity_checks
from seqloss.errors import OptionError
from seqloss.recipes.ocr.network import Network
from seqloss.training.overfit import overfit
from seqloss.training.settings import RunOptions


def test_a_correctly_wired_network_overfits_a_few_images(data: Path, task_for) -> None:
    lines: list[str] = []
    assert overfit(task_for(data), 8, print_line=lines.append)
    assert lines[-1].startswith("PASS: overfit 8 images")


def test_a_network_whose_first_layers_are_cut_off_from_its_images_does_not(
    data: Path, task_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Network.forward
    monkeypatch.setattr(Network, "forward", lambda self, x, widths: forward(self, torch.zeros_like(x), widths))
    monkeypatch.setattr(sanity_checks, "OVERFIT_STEPS", 40)
    lines: list[str] = []
    assert not overfit(task_for(data), 8, print_line=lines.append)
    assert lines[-1].startswith("FAIL: could not overfit 8 images in 40 steps")


def test_it_is_tried_with_the_learning_rate_and_in_the_precision_that_are_asked_for(
    data: Path, task_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanity_checks, "OVERFIT_STEPS", 40)
    lines: list[str] = []
    assert not overfit(task_for(data, lr=1e-9), 8, print_line=lines.append)
    with pytest.raises(OptionError, match="--accelerator, --devices or --precision"):
        overfit(task_for(data), 8, RunOptions(precision="17-odd"), print_line=lines.append)


def test_no_more_items_than_there_are_can_be_overfit(data: Path, task_for) -> None:
    with pytest.raises(OptionError, match=r"found 99, expected 1 to 9 training images \(3 more are held out\)"):
        overfit(task_for(data), 99)
