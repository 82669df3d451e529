"""Fresh memory is poisoned, and real data is read where a checkout has it beside it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from .ocr_fixtures import data, one_thread, task_for, train, trained, with_rows  # noqa: F401 - fixtures
from .processor_time import pytest_configure as pytest_configure

if os.environ.get("TRITON_INTERPRET") == "1":
    from .interpreter import hurry

    hurry()

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """What a test hears on stderr is its own, not the first call's."""
    from seqloss import contract
    from seqloss.kernels.ctc.batch import best_paths, loss_and_grad

    for kind in (np.float32, np.float64):
        loss_and_grad(np.zeros((1, 2, 3), kind), contract.validate((1, 2, 3), [[1]]))
    best_paths(np.zeros((1, 2, 3), np.float32), contract.validate((1, 2, 3), [[1]]))  # what a report draws


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel does not write itself is NaN, or a number that no index may be."""
    from seqloss.kernels.ctc import batch as ctc_batch
    from seqloss.kernels.numba import workspace

    def allocate(size: int, dtype: np.dtype) -> np.ndarray:
        dtype = np.dtype(dtype)
        return np.full(size, np.nan if dtype.kind == "f" else np.iinfo(dtype).max // 3, dtype)

    workspace.release_workspace()
    monkeypatch.setattr(workspace, "allocate", allocate)
    monkeypatch.setattr(ctc_batch, "allocate", allocate)


@pytest.fixture(autouse=True)
def poisoned_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of what the Triton kernels allocate."""
    if os.environ.get("TRITON_INTERPRET") != "1":
        return
    from .interpreter import poison

    poison(monkeypatch)


@pytest.fixture
def shared_data() -> Path:
    """Real data sets beside the checkout; a stranger's clone has none."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data beside this clone")
    return SHARED
