"""What must hold whatever the scores: no oracle needed."""

import itertools
import math

import numpy as np
import pytest

from seqloss import contract, reference
from seqloss.reference.ctc import SMALLEST
from seqloss.reference.lattice import backward, forward, make_lattice
from seqloss.reference.scores import log_softmax
from seqloss.reference.semiring import LOG, PROBABILITY


def rough(batch: int, time: int, classes: int, seed: int = 0, scale: float = 3.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(batch, time, classes))


def test_probabilities_of_all_label_sequences_add_up_to_one() -> None:
    targets = [target for length in range(6) for target in itertools.product([0, 2], repeat=length)]
    padded = [[*target, *[0] * (5 - len(target))] for target in targets]
    logits = np.broadcast_to(rough(1, 5, 3), (len(targets), 5, 3))
    loss, _ = reference.ctc_loss_and_grad(logits, padded, None, [len(t) for t in targets], blank=1)
    assert math.fsum(np.exp(-loss)) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 100.0])
def test_gradient_of_a_frame_adds_up_to_zero(scale: float) -> None:
    targets = np.random.default_rng(1).integers(1, 7, (3, 9))
    _, grad = reference.ctc_loss_and_grad(rough(3, 40, 7, scale=scale), targets)
    largest = np.abs(grad).max(axis=2)
    assert (np.abs(grad.sum(axis=2)) <= 1e-14 * largest + 7 * SMALLEST).all()  # 7 entries may be flushed
    assert largest.max() > 0.1


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("target", [[], [1], [2, 2, 3], [1, 3, 1, 3]])
def test_gradient_is_the_slope_of_the_loss(target: list[int], normalize: bool) -> None:
    logits, targets = rough(1, 8, 4, seed=2), np.array([target], np.int64)
    if not normalize:
        logits = log_softmax(logits[0])[None] - 0.01
    _, grad = reference.ctc_loss_and_grad(logits, targets, normalize=normalize)
    steps = 1e-5 * np.eye(logits.size).reshape(-1, *logits.shape[1:])  # (entries, time, classes)
    many = np.repeat(targets, logits.size, axis=0)
    above, _ = reference.ctc_loss_and_grad(logits + steps, many, normalize=normalize)
    below, _ = reference.ctc_loss_and_grad(logits - steps, many, normalize=normalize)
    slope = ((above - below) / 2e-5).reshape(logits.shape)
    np.testing.assert_allclose(grad, slope, rtol=1e-7, atol=2e-9)


def test_log_softmax_before_the_loss_changes_nothing() -> None:
    logits, targets = rough(2, 9, 5, seed=3), [[1, 2, 2], [4, 3, 1]]
    twice = np.stack([log_softmax(row) for row in logits])
    for once, again in zip(
        reference.ctc_loss_and_grad(logits, targets), reference.ctc_loss_and_grad(twice, targets), strict=True
    ):
        np.testing.assert_allclose(once, again, rtol=1e-13, atol=1e-15)


def test_padding_batch_mates_and_order_never_change_a_bit() -> None:
    logits, targets = rough(3, 9, 5, seed=4), np.array([[1, 2, 2], [4, 3, 1], [2, 0, 0]])
    frames, labels = np.array([9, 7, 5]), np.array([3, 2, 1])
    loss, grad = reference.ctc_loss_and_grad(logits, targets, frames, labels)
    for n in range(3):
        alone = logits[n : n + 1, : frames[n]], targets[n : n + 1, : labels[n]]
        alone_loss, alone_grad = reference.ctc_loss_and_grad(*alone)
        assert alone_loss[0] == loss[n]
        assert (alone_grad[0] == grad[n, : frames[n]]).all()
    turned, _ = reference.ctc_loss_and_grad(logits[::-1], targets[::-1], frames[::-1], labels[::-1])
    assert (turned[::-1] == loss).all()


def test_relabelling_the_classes_relabels_the_gradient() -> None:
    logits, targets = rough(1, 9, 5, seed=5), np.array([[1, 2, 2, 4]])
    loss, grad = reference.ctc_loss_and_grad(logits, targets)
    order = np.array([3, 0, 4, 1, 2])  # new class k was class order[k]
    new = np.argsort(order)
    new_loss, new_grad = reference.ctc_loss_and_grad(logits[..., order], new[targets], blank=int(new[0]))
    np.testing.assert_allclose(new_loss, loss, rtol=1e-13)
    np.testing.assert_allclose(new_grad, grad[..., order], rtol=1e-12, atol=1e-15)


def test_total_is_the_same_at_whichever_frame_it_is_taken() -> None:
    states = make_lattice([1, 2, 2, 3], 0)
    emissions = log_softmax(rough(1, 30, 4, seed=6)[0])[:, states.classes]
    through = np.logaddexp.reduce(forward(emissions, states, LOG) + backward(emissions, states, LOG), axis=1)
    np.testing.assert_allclose(through, through[0], rtol=1e-14)


@pytest.mark.parametrize("target", [[], [1], [1, 1], [1, 2, 3], [2, 2, 2, 1]])
def test_the_number_of_paths_is_the_combinatorial_one(target: list[int]) -> None:
    frames, needed = (
        9,
        int(contract.required_frames(np.array([target], np.int64), np.array([len(target)]))[0]),
    )
    states = make_lattice(target, 0)
    counted = forward(np.ones((frames, len(states.classes))), states, PROBABILITY)[-1][states.final].sum()
    assert counted == math.comb(frames + 2 * len(target) - needed, 2 * len(target))


def test_wider_numbers_agree() -> None:
    logits, targets = rough(1, 300, 8, seed=7), np.random.default_rng(8).integers(1, 8, (1, 60))
    loss, grad = reference.ctc_loss_and_grad(logits, targets)
    wide_loss, wide_grad = reference.ctc_loss_and_grad(logits.astype(np.longdouble), targets)
    np.testing.assert_allclose(loss, wide_loss.astype(float), rtol=1e-14)
    np.testing.assert_allclose(grad, wide_grad.astype(float), rtol=1e-9, atol=1e-13)


def test_long_rows_take_seconds() -> None:
    logits, targets = rough(1, 4000, 32), np.random.default_rng(9).integers(1, 32, (1, 800))
    loss, grad = reference.ctc_loss_and_grad(logits, targets)
    assert 1e4 < loss[0] < 1e5
    assert np.abs(grad.sum(axis=2)).max() < 1e-14
