"""A small table with a cycle, and a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ...ocr_fixtures import make_train

SMALL = {"window": 10, "step": 5, "size": 24, "batch": 16, "epochs": 2}


def write_table(file: Path, rows: int = 400, *more: str) -> Path:
    """Two channels with a cycle of ten steps and a column of dates; and more lines."""
    rng, steps = np.random.default_rng(0), np.arange(rows)
    cycle = np.stack([np.sin(2 * np.pi * steps / 10), np.cos(2 * np.pi * steps / 10) ** 3], 1)
    values = [7, 100] + [1, 30] * cycle + [0.02, 0.6] * rng.normal(size=(rows, 2))
    days = (np.datetime64("2024-01-01") + steps).astype(str)
    lines = ["day,pump,flow", *(f"{day},{pump:.4f},{flow:.4f}" for day, (pump, flow) in zip(days, values, strict=True))]
    file.write_text("\n".join([*lines, *more]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


@pytest.fixture(scope="session")
def autoencoder_task(one_thread: None) -> Callable[..., Any]:
    """The autoencoder task for a file, small, with changed settings."""
    from seqloss.recipes.autoencoder.settings import Settings
    from seqloss.recipes.autoencoder.task import AutoencoderTask

    return lambda data, **changes: AutoencoderTask(Settings(**{"data": data and str(data), **SMALL, **changes}))


@pytest.fixture(scope="session")
def train_autoencoder(autoencoder_task: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    return make_train(autoencoder_task)
