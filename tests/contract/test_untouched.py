"""Nothing is written to the caller's arrays, whatever comes of the call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from seqloss import errors

from . import problems
from .frontend import Frontend

LOGITS = problems.log_probabilities(3 * np.random.default_rng(0).normal(size=(3, 8, 5)))
TARGETS, FRAMES, LABELS = np.array([[1, 2, 2], [3, 4, -7], [1, 1, 1]]), np.array([8, 5, 3]), np.array([3, 2, 3])
"""Row 2 is infeasible; and what lies past the lengths must stay as well."""

CALLS: dict[str, Callable[..., Any]] = {
    "loss": lambda frontend, x, y, t, u: frontend.loss(x, y, t, u),
    "loss reduced": lambda frontend, x, y, t, u: frontend.loss(x, y, t, u, reduction="mean", infeasible="zero"),
    "loss and gradient": lambda frontend, x, y, t, u: frontend.loss_and_grad(x, y, t, u, upstream=[2.0, -1.0, 3.0]),
    "loss of log-probabilities": lambda frontend, x, y, t, u: frontend.loss_and_grad(x, y, t, u, normalize=False),
    "loss unchecked": lambda frontend, x, y, t, u: frontend.loss_and_grad(x, y, t, u, validate=False),
    "loss that raises": lambda frontend, x, y, t, u: frontend.loss(x, y, t, u, infeasible="raise"),
    "posteriors": lambda frontend, x, y, t, u: frontend.posteriors(x, y, t, u),
    "check": lambda frontend, x, y, t, u: frontend.check(x, y, t, u, normalize=False),
    "greedy": lambda frontend, x, y, t, u: frontend.greedy(x, t),
}
BATCHES = {
    "good": (),
    "poisoned": ((0, (0, 3, 1), np.nan),),
    "a bad label": ((1, (1, 0), 9),),
    "bad lengths": ((2, (0,), 12), (3, (1,), -2)),
}


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "read-only"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("call", CALLS)
def test_the_callers_arrays_keep_their_bytes(kernel_frontend: Frontend, call: str, batch: str, writable: bool) -> None:
    arrays = [LOGITS.astype(kernel_frontend.stored), TARGETS.copy(), FRAMES.copy(), LABELS.copy()]
    for number, place, value in BATCHES[batch]:
        arrays[number][place] = value
    for array in arrays:
        array.flags.writeable = writable
    before = [array.tobytes() for array in arrays]
    with suppress(errors.SeqLossError):
        CALLS[call](kernel_frontend, *arrays)
    assert [array.tobytes() for array in arrays] == before


def test_what_a_call_gave_is_not_changed_by_the_next(kernel_frontend: Frontend) -> None:
    args = (LOGITS.astype(kernel_frontend.stored), TARGETS, FRAMES, LABELS)
    loss, gradient = kernel_frontend.loss_and_grad(*args)
    posteriors = kernel_frontend.posteriors(*args)
    kept = [array.copy() for array in (loss, gradient, posteriors)]
    kernel_frontend.loss_and_grad(LOGITS[::-1].copy(), TARGETS[::-1].copy(), FRAMES, LABELS, validate=False)
    for found, expected in zip((loss, gradient, posteriors), kept, strict=True):
        np.testing.assert_array_equal(found, expected)
