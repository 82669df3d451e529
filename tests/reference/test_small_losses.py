"""A sure model's loss and gradient, digit by digit, against 60-digit arithmetic."""

import mpmath
import numpy as np
import pytest

from seqloss import reference
from seqloss.reference import paths
from seqloss.reference.ctc import SMALLEST

mpmath.mp.dps = 60


def sure(path: list[int], classes: int, margin: float, seed: int) -> np.ndarray:
    """Logits (time, classes) that put a path above all others by about this many nats a frame."""
    logits = np.random.default_rng(seed).normal(size=(len(path), classes))
    logits[np.arange(len(path)), path] += margin
    return logits


def exact(logits: np.ndarray, target: tuple[int, ...]) -> tuple[mpmath.mpf, list[list[mpmath.mpf]]]:
    """Loss and gradient by listing all paths, in 60 digits."""
    weights = [[mpmath.exp(mpmath.mpf(float(score))) for score in frame] for frame in logits]
    probs = [[weight / mpmath.fsum(frame) for weight in frame] for frame in weights]
    frames, classes = logits.shape
    whole, through = mpmath.mpf(0), [[mpmath.mpf(0)] * classes for _ in range(frames)]
    for path in paths.paths_by_target(frames, classes)[target].tolist():
        weight = mpmath.fprod(probs[t][k] for t, k in enumerate(path))
        whole += weight
        for t, k in enumerate(path):
            through[t][k] += weight
    grad = [[probs[t][k] - through[t][k] / whole for k in range(classes)] for t in range(frames)]
    return -mpmath.log(whole), grad


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("margin", [2.0, 8.0, 20.0, 30.0, 60.0])
@pytest.mark.parametrize("path", [[0, 1, 1, 0, 2], [1, 0, 1, 2, 2], [0, 0, 0, 0, 0]], ids=str)
def test_every_digit_of_a_sure_models_loss_and_gradient(path: list[int], margin: float, seed: int) -> None:
    logits, target = sure(path, 3, margin, seed), paths.collapse(path)
    loss, grad = reference.ctc_loss_and_grad(logits[None], np.array([target], np.int64))
    exact_loss, exact_grad = exact(logits, target)
    assert abs(loss[0] / exact_loss - 1) < 1e-12
    for found, expected in zip(grad.ravel(), np.ravel(exact_grad), strict=True):
        assert abs(found - expected) <= 1e-9 * abs(expected) + SMALLEST


@pytest.mark.parametrize("target", [(), (1,), (2, 2), (2, 1, 1)])
def test_every_digit_where_the_model_is_sure_of_something_else(target: tuple[int, ...]) -> None:
    logits = sure([0, 1, 1, 0, 2], 3, 25.0, 0)
    loss, grad = reference.ctc_loss_and_grad(logits[None], np.array([target], np.int64))
    exact_loss, exact_grad = exact(logits, target)
    assert abs(loss[0] / exact_loss - 1) < 1e-12
    for t, k in np.ndindex(grad.shape[1:]):
        assert abs(grad[0, t, k] - exact_grad[t][k]) <= 1e-12 * max(abs(entry) for entry in exact_grad[t])


def test_a_sure_models_gradient_is_not_lost() -> None:
    _, grad = reference.ctc_loss_and_grad(sure([0, 1, 0], 3, 40.0, 1)[None], [[1]])
    assert 0 < np.abs(grad).max() < 1e-15
    assert (grad != 0).sum() == 9


def test_both_ways_agree_where_one_hands_over_to_the_other() -> None:
    """A loss of log 2 is where the complement gives way to the log recursion: no step there."""
    logits = np.zeros((1, 1, 2))
    for nudge in (1e-9, -1e-9):
        logits[0, 0, 1] = nudge
        loss, grad = reference.ctc_loss_and_grad(logits, [[1]])
        assert loss[0] == pytest.approx(np.log(2) - nudge / 2, rel=1e-14)
        np.testing.assert_allclose(grad[0, 0], [0.5 - nudge / 4, -0.5 + nudge / 4], rtol=1e-14)
