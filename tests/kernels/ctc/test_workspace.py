"""Scratch is kept within a bound and never decides a result."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss import contract
from seqloss.kernels.ctc import batch as ctc_batch
from seqloss.kernels.ctc import checkpoints, huge_rows
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.numba import workspace
from seqloss.kernels.numba.workspace import Workspace

from .extended_rows import leave_all_rows_to_extended_exponents


def kept_bytes() -> int:
    return sum(array.nbytes for array in workspace._kept.arrays.values())


def test_an_array_is_kept_for_the_next_call_and_grows_with_it() -> None:
    with Workspace() as space:
        first = space.take("m", 10, np.dtype(np.float32))
    with Workspace() as space:
        assert space.take("m", 8, np.dtype(np.float32)) is first
        assert space.take("m", 11, np.dtype(np.float32)).size == 11


def test_what_is_over_the_bound_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workspace() as space:
        space.take("m", 1000, np.dtype(np.float64))
    assert kept_bytes() == 8000
    monkeypatch.setattr(workspace, "KEPT_BYTES", 7999)
    with Workspace():
        pass
    assert kept_bytes() == 0


def test_what_an_earlier_call_left_does_not_show() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 30, 9)).astype(np.float32)
    rows = contract.validate(logits.shape, rng.integers(1, 9, (2, 7)), [30, 12], [7, 3])
    fresh = loss_and_grad(logits, rows)
    large = rng.standard_normal((3, 200, 70)).astype(np.float32)
    loss_and_grad(large, contract.validate(large.shape, rng.integers(1, 70, (3, 60))))
    for before, after in zip(fresh, loss_and_grad(logits, rows), strict=True):
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("way", ["ordinary", "huge", "extended-exponent"])
@pytest.mark.parametrize("normalize", [True, False])
def test_nothing_is_written_outside_the_requested_scratch(monkeypatch, normalize, way) -> None:
    """Each array has 64 numbers of the test's own behind it."""
    mark, given = 77, []

    def allocate(size: int, dtype: np.dtype) -> np.ndarray:
        memory = np.full(size + 64, mark, dtype)
        given.append((memory, size))
        return memory[:size]

    monkeypatch.setattr(workspace, "allocate", allocate)
    if way == "huge":
        monkeypatch.setattr(huge_rows, "HUGE", -1.0)
    if way == "extended-exponent":
        leave_all_rows_to_extended_exponents(monkeypatch)
    rng = np.random.default_rng(0)
    for _ in range(150):
        workspace.release_workspace()
        batch, frames, classes, labels = rng.integers(1, (4, 40, 40, 30))
        labels = min(labels, frames) if classes > 1 else 0
        logits = rng.standard_normal((batch, frames, classes)).astype(rng.choice([np.float32, np.float64]))
        targets = rng.integers(1, classes, (batch, labels)) if labels else np.zeros((batch, 0), int)
        lengths = rng.integers(0, frames + 1, batch), rng.integers(0, labels + 1, batch)
        rows = contract.validate(logits.shape, targets, *lengths)
        loss_and_grad(logits, rows, normalize=normalize, gradient=bool(rng.integers(2)))
        monkeypatch.setattr(checkpoints, "KEPT_BYTES", int(rng.integers(2)) * 2**20)
        ctc_batch.best_paths(logits, rows, normalize=normalize, distance=int(rng.integers(1, 50)))
    assert len(given) > 1000
    for memory, size in given:
        assert (memory[size:] == mark).all()
