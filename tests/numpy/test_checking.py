"""Looking at a call's arguments costs less than 2 % of the call or 50 µs, whichever is larger; benchmarks/checking.py
measures it on all workloads."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from seqloss import contract, errors
from seqloss.contract import check_normalized, not_normalized
from seqloss.kernels.ctc.batch import loss_and_grad

SMALL, LARGE = (64, 64, 96, 12), (4, 4000, 32, 800)
"""Batch, time, classes, labels."""


def least(call: Callable[[], object], turns: int) -> float:
    """Seconds of processor time, undisturbed by whatever else runs."""
    times = []
    for _ in range(turns):
        start = time.process_time_ns()
        call()
        times.append(time.process_time_ns() - start)
    return 1e-9 * min(times)


@pytest.mark.parametrize("workload", [SMALL, pytest.param(LARGE, marks=pytest.mark.long)], ids=["ocr", "long"])
def test_looking_at_labels_and_lengths_costs_next_to_nothing(workload: tuple[int, int, int, int]) -> None:
    batch, frames, classes, labels = workload
    rng = np.random.default_rng(0)
    logits = 3.0 * rng.standard_normal((batch, frames, classes), np.float32)
    args = (rng.integers(1, classes, (batch, labels)), np.full(batch, frames), np.full(batch, labels))
    whole = least(lambda: loss_and_grad(logits, contract.validate(logits.shape, *args, values=False)), 3)
    checked, unchecked = (
        least(lambda v=v: contract.validate(logits.shape, *args, values=v), 100) for v in (True, False)
    )
    assert checked - unchecked < max(0.02 * whole, 50e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 300, 700), (40, 3, 11), (1, 2, 70_000)], ids=str)
def test_the_quick_look_at_log_probabilities_answers_like_the_slow_one(
    shape: tuple[int, int, int], dtype: type
) -> None:
    """Frames a hair under and over the limit, wherever they stand."""
    rng = np.random.default_rng(0)
    log_probs = rng.normal(size=shape)
    log_probs -= np.log(np.exp(log_probs).sum(axis=2, keepdims=True))
    for excess, refused in [(0.0, False), (0.00099, False), (0.00101, True), (3.0, True), (1e5, True)]:
        changed, row, frame = log_probs.copy(), int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        changed[row, frame] += np.log1p(excess)
        changed = changed.astype(dtype)
        lengths = np.full(shape[0], shape[1])
        assert (not_normalized(changed[row], row) is not None) == refused
        if not refused:
            check_normalized(changed, lengths)
            continue
        with pytest.raises(errors.NormalizationError, match=rf"logits\[{row}, {frame}\]"):
            check_normalized(changed, lengths)
        lengths[row] = frame  # what lies past a length is never read
        check_normalized(changed, lengths)
