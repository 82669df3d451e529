"""What must hold whatever the scores, without an oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss.contract import SMALLEST

from . import problems
from .frontend import Frontend
from .problems import uneven
from .tolerances import UNIT, walk


def close(frontend: Frontend, frames: int) -> float:
    """Twice what a posterior of this many frames may be off by: both sides of a law are computed."""
    return 2 * walk(8 * (frames + 2), UNIT[frontend.dtype])


@settings(max_examples=problems.examples(60), deadline=None)
@given(data=st.data())
def test_the_gradient_of_a_frame_adds_up_to_0(precise_frontend: Frontend, data: st.DataObject) -> None:
    """To a rounding of its terms, softmax and posterior, which may both be 1/2 where the gradient is 1e-7."""
    problem = data.draw(problems.drawn(precise_frontend.few_shapes))
    logits = np.clip(problem.logits, -50.0, 50.0)
    frames, classes = logits.shape[1:]
    _, grad = precise_frontend.loss_and_grad(logits, *problem.args, **problem.options)
    softmax = np.exp(logits - logits.max(axis=2, keepdims=True))
    softmax /= softmax.sum(axis=2, keepdims=True)
    terms = np.minimum(softmax, 1 - softmax).sum(axis=2) + np.abs(grad).max(axis=2)  # (batch, time)
    slack = (close(precise_frontend, frames) + 100 * UNIT[precise_frontend.dtype]) * terms
    assert (np.abs(grad.sum(axis=2, dtype=np.float64)) <= slack + classes * SMALLEST).all()


@settings(max_examples=problems.examples(60), deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_relabelling_the_classes_relabels_the_gradient(
    precise_frontend: Frontend, data: st.DataObject, seed: int
) -> None:
    problem = data.draw(problems.drawn(precise_frontend.few_shapes))
    classes = problem.logits.shape[2]
    order = np.random.default_rng(seed).permutation(classes)  # new class k was class order[k]
    if precise_frontend.few_shapes:  # another blank is another program
        order[[problem.blank, np.argmax(order == problem.blank)]] = problem.blank, order[problem.blank]
    new = np.argsort(order)
    args = (new[problem.targets], *problem.args[1:])
    loss, grad = precise_frontend.loss_and_grad(problem.logits, *problem.args, blank=problem.blank)
    new_loss, new_grad = precise_frontend.loss_and_grad(
        problem.logits[..., order], *args, blank=int(new[problem.blank])
    )
    tolerance = close(precise_frontend, problem.logits.shape[1]) + 30 * UNIT[precise_frontend.dtype]
    np.testing.assert_allclose(new_loss, loss, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(new_grad, grad[..., order], atol=2 * tolerance)


@settings(max_examples=problems.examples(60), deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_adding_a_constant_to_a_frame_changes_nothing(
    precise_frontend: Frontend, data: st.DataObject, seed: int
) -> None:
    problem = data.draw(problems.drawn(precise_frontend.few_shapes))
    logits = np.round(np.maximum(problem.logits, -60000.0) * 16) / 16  # so that the sums are exact
    shifts = np.random.default_rng(seed).integers(-40, 40, (*logits.shape[:2], 1))
    loss, grad = precise_frontend.loss_and_grad(logits, *problem.args, **problem.options)
    moved, moved_grad = precise_frontend.loss_and_grad(logits + shifts, *problem.args, **problem.options)
    np.testing.assert_array_equal(moved, loss)
    np.testing.assert_array_equal(moved_grad, grad)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("target", [[], [1], [2, 2, 3], [1, 3, 1, 3]], ids=str)
def test_the_gradient_is_the_slope_of_the_loss(float64_frontend: Frontend, target: list[int], normalize: bool) -> None:
    logits, targets = 2 * np.random.default_rng(2).normal(size=(1, 8, 4)), np.array([target], np.int64)
    if not normalize:
        logits = problems.log_probabilities(logits)
    _, grad = float64_frontend.loss_and_grad(logits, targets, normalize=normalize)
    steps = 1e-5 * np.eye(logits.size).reshape(-1, *logits.shape[1:])  # (entries, time, classes)
    many = np.repeat(targets, logits.size, axis=0)
    above, below = (float64_frontend.loss(logits + side * steps, many, normalize=normalize) for side in (1, -1))
    np.testing.assert_allclose(grad, ((above - below) / 2e-5).reshape(logits.shape), rtol=1e-7, atol=2e-9)


def test_the_gradient_is_linear_in_upstream(precise_frontend: Frontend) -> None:
    problem, upstream = problems.random(3, 20, 7, 5), uneven(3)
    _, once = precise_frontend.loss_and_grad(problem.logits, *problem.args)
    _, weighed = precise_frontend.loss_and_grad(problem.logits, *problem.args, upstream=upstream)
    np.testing.assert_array_equal(weighed, once * upstream.astype(once.dtype)[:, None, None])


def test_probabilities_of_all_label_sequences_add_up_to_1(precise_frontend: Frontend) -> None:
    targets = [[], *([a] for a in (0, 2)), *([a, b] for a in (0, 2) for b in (0, 2))]
    targets += [[a, b, c] for a in (0, 2) for b in (0, 2) for c in (0, 2)]
    padded = np.array([[*target, *[-1] * (3 - len(target))] for target in targets])
    logits = np.repeat(np.random.default_rng(0).normal(size=(1, 3, 3)), len(targets), axis=0)
    loss = precise_frontend.loss(logits, padded, None, np.array([len(target) for target in targets]), blank=1)
    total = np.exp(-loss.astype(np.float64)).sum()
    assert total == pytest.approx(1.0, abs=30 * UNIT[precise_frontend.dtype])
