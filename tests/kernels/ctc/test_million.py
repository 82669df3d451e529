"""A million random small rows against float64, by another formula: the one in whole arrays, over NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss import contract
from seqloss.formulas.ctc import loss as formula
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.numpy.namespace import NumPyNamespace

ROWS = 5000


def draw(rng: np.random.Generator) -> tuple[np.ndarray, contract.Batch]:
    """Rows of one shape with lengths and tempers of their own: flat, sharp, masked, sure; some that no path fits."""
    frames, classes, labels = rng.integers(1, 13), rng.integers(2, 7), rng.integers(0, 6)
    scale = rng.choice([0.01, 1.0, 4.0, 40.0], (ROWS, 1, 1))
    logits = scale * rng.standard_normal((ROWS, frames, classes))
    closed = rng.random(logits.shape) < rng.choice([0.0, 0.15], (ROWS, 1, 1))
    closed[:, :, 0] &= rng.random((ROWS, frames)) < 0.5
    closed[np.arange(ROWS)[:, None], np.arange(frames), rng.integers(0, classes, (ROWS, frames))] = False
    logits[closed] = -np.inf
    targets = rng.integers(1, classes, (ROWS, labels))
    lengths = rng.integers(1, frames + 1, ROWS), rng.integers(0, labels + 1, ROWS)
    return logits, contract.validate(logits.shape, targets, *lengths)


@pytest.mark.long
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(100))
def test_a_million_random_rows_have_the_losses_and_gradients_of_float64(seed, kind) -> None:
    logits, batch = draw(np.random.default_rng(seed))
    scores = logits.astype(kind)
    targets = np.pad(batch.targets, ((0, 0), (0, batch.targets.shape[1] == 0))).astype(np.int32)
    lengths = [array.astype(np.int32) for array in (batch.logit_lengths, batch.target_lengths)]
    with np.errstate(all="ignore"):
        exact, exact_gradient = formula.loss_and_grad(
            NumPyNamespace(), scores.astype(np.float64), targets, *lengths, blank=0, normalize=True
        )
    losses, _, gradient = loss_and_grad(scores, batch)
    unit = float(np.finfo(kind).eps)
    np.testing.assert_array_equal(np.isinf(losses), np.isinf(exact))
    allowed = 2 * unit * np.abs(exact) + 1e-13
    fits = np.isfinite(exact)
    assert (np.abs(losses[fits] - exact[fits]) <= allowed[fits]).all()
    assert np.abs(gradient - exact_gradient).max() <= max(unit, 1e-13)
    assert 0 < np.isinf(exact).sum() < ROWS or not batch.targets.size
