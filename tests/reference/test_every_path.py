"""The recursion against the list of all paths: each shape to 5 frames, 4 labels, 4 classes; any blank."""

import itertools
import math

import numpy as np
import pytest

from seqloss import reference
from seqloss.reference import paths
from seqloss.reference.scores import log_softmax

SHAPES = [(frames, classes, blank) for frames in range(6) for classes in range(1, 5) for blank in range(classes)]
KINDS = ["rough", "tied"]


def every_target(classes: int, blank: int) -> list[tuple[int, ...]]:
    """All targets of up to 4 labels, repeats included."""
    alphabet = [label for label in range(classes) if label != blank]
    return [target for length in range(5) for target in itertools.product(alphabet, repeat=length)]


def scores(kind: str, frames: int, classes: int) -> np.ndarray:
    """Rough scores; or few values, exact in sums, so that paths tie, some of them -inf."""
    rng = np.random.default_rng(10 * frames + classes)
    if kind == "rough":
        return 3 * rng.normal(size=(frames, classes))
    tied = rng.choice([0.0, -0.5, -1.0, -np.inf], size=(frames, classes), p=[0.4, 0.25, 0.25, 0.1])
    tied[np.arange(frames), rng.integers(0, classes, frames)] = 0.0  # a frame needs a softmax
    return tied


def as_batch(logits: np.ndarray, targets: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One row per target, all with the same logits: (batch, time, classes), (batch, labels), lengths."""
    padded = np.array([[*target, *[-1] * (4 - len(target))] for target in targets])
    lengths = np.array([len(target) for target in targets])
    return np.broadcast_to(logits, (len(targets), *logits.shape)), padded, lengths


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_gradient_and_posteriors_equal_the_sums_over_all_paths(shape: tuple[int, int, int], kind: str) -> None:
    frames, classes, blank = shape
    logits, targets = scores(kind, frames, classes), every_target(classes, blank)
    log_probs = log_softmax(logits)
    batch, padded, lengths = as_batch(logits, targets)
    loss, grad = reference.ctc_loss_and_grad(batch, padded, None, lengths, blank=blank)
    gamma = reference.ctc_posteriors(batch, padded, None, lengths, blank=blank)
    for n, target in enumerate(targets):
        total = paths.log_probability(log_probs, target, blank)
        share = paths.posteriors(log_probs, target, blank)
        expected = np.exp(log_probs) - share if total > -math.inf else np.zeros_like(share)
        np.testing.assert_allclose(loss[n], -total, rtol=1e-13, atol=1e-14, err_msg=str(target))
        np.testing.assert_allclose(gamma[n], share, rtol=1e-12, atol=1e-15, err_msg=str(target))
        np.testing.assert_allclose(grad[n], expected, rtol=1e-12, atol=1e-14, err_msg=str(target))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unnormalised_loss_and_gradient_equal_the_sums_over_all_paths(shape: tuple[int, int, int], kind: str) -> None:
    frames, classes, blank = shape
    targets = every_target(classes, blank)
    log_probs = log_softmax(scores(kind, frames, classes)) - 0.1  # some probability is missing
    batch, padded, lengths = as_batch(log_probs, targets)
    loss, grad = reference.ctc_loss_and_grad(batch, padded, None, lengths, blank=blank, normalize=False)
    for n, target in enumerate(targets):
        np.testing.assert_allclose(loss[n], -paths.log_probability(log_probs, target, blank), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(grad[n], -paths.posteriors(log_probs, target, blank), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_alignment_is_the_first_among_the_best_of_all_paths(shape: tuple[int, int, int], kind: str) -> None:
    frames, classes, blank = shape
    logits, targets = scores(kind, frames, classes), every_target(classes, blank)
    log_probs = log_softmax(logits)
    batch, padded, lengths = as_batch(logits, targets)
    found = reference.ctc_align(batch, padded, None, lengths, blank=blank)
    for n, target in enumerate(targets):
        path = paths.best_path(logits, target, blank)
        spans = paths.label_spans(path, blank) if path is not None else [(-1, -1)] * len(target)
        assert found.classes[n].tolist() == (path if path is not None else [-1] * frames), target
        assert list(zip(found.first[n], found.last[n], strict=True))[: len(target)] == spans, target
        assert (found.first[n, len(target) :] == -1).all()
        steps = log_probs[np.arange(frames), path] if path is not None else np.array([-math.inf])
        np.testing.assert_allclose(found.total[n], steps.sum(), rtol=1e-14, atol=1e-15)
        by_label = [steps[first : last + 1].sum() for first, last in spans] if path is not None else []
        np.testing.assert_allclose(found.scores[n, : len(by_label)], by_label, rtol=1e-14, atol=1e-15)
        assert (found.scores[n, len(by_label) :] == 0).all()


@pytest.mark.parametrize("target", [(1,), (1, 2), (1, 1), (2, 1, 2), (1, 1, 2), (2, 2, 2)], ids=str)
def test_alignment_keeps_the_tie_rule_over_many_ties(target: tuple[int, ...]) -> None:
    """Ties that tell early starts from short spans need 6 frames and luck: 250 draws."""
    logits = -np.random.default_rng(len(target)).integers(0, 3, (250, 6, 3)).astype(float)
    found = reference.ctc_align(logits, np.tile(target, (250, 1)))
    for n in range(250):
        assert found.classes[n].tolist() == paths.best_path(logits[n], target), logits[n]


def test_tied_scores_do_tie() -> None:
    logits, ties = scores("tied", 5, 4), 0
    for target in every_target(4, 0):
        along = paths.path_scores(logits, paths.paths_of_target(logits, target))
        ties += along.size > 0 and (along == max(along)).sum() > 1 and max(along) > -math.inf
    assert ties > 20
