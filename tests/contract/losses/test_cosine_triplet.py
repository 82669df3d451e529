"""The triplet loss of every frontend is the definition, value and gradient; triplets are picked as documented."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from seqloss.errors import DTypeError, LabelError, OptionError, ShapeError

from .frontends import LossFrontend, params
from .plain_pairs import gradients, triplet_losses, triplets
from .test_pairwise_kl import close, gradient_tolerance, tolerance

ROWS, FEATURES = 6, 3
LABELS = np.array([3, -1, 3, 2**33, 3, -1])
UNEVEN = np.linspace(-1.0, 2.0, ROWS)

pytestmark = pytest.mark.parametrize("frontend", params())


def vectors(frontend: LossFrontend, count: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(8)
    return [frontend.rounded(generator.normal(size=(ROWS, FEATURES))) for _ in range(count)]


@pytest.mark.parametrize("margin", [0.3, 1.5, 0])
def test_value_and_gradients_are_the_definitions(frontend: LossFrontend, margin: float) -> None:
    given = vectors(frontend)
    losses, found = frontend.value_and_grads("cosine_triplet", given, margin=margin, reduction="none", upstream=UNEVEN)
    assert losses.dtype == frontend.computed_in
    close(losses, triplet_losses(*given, margin), tolerance(frontend))
    expected = gradients(lambda *given: (UNEVEN * triplet_losses(*given, margin)).sum(), given)
    for one, other in zip(found, expected, strict=True):
        close(one, other, gradient_tolerance(frontend))


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1.0), ("mean", 6.0), ("denominator", 7.0)])
def test_reductions_weigh_losses_and_gradients_alike(frontend: LossFrontend, reduction: str, divisor: float) -> None:
    options = {"reduction": "sum", "denominator": 7.0} if reduction == "denominator" else {"reduction": reduction}
    given = vectors(frontend)
    loss, found = frontend.value_and_grads("cosine_triplet", given, upstream=3.0, **options)
    assert loss.shape == ()
    close(loss, triplet_losses(*given).sum() / divisor, tolerance(frontend))
    expected = gradients(lambda *given: 3 * triplet_losses(*given).sum() / divisor, given)
    for one, other in zip(found, expected, strict=True):
        close(one, other, gradient_tolerance(frontend))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_vector_of_zeros_has_cosine_0_and_no_gradient(frontend: LossFrontend, place: int) -> None:
    given = vectors(frontend)
    given[place][2] = 0
    losses, found = frontend.value_and_grads("cosine_triplet", given, margin=2.5, reduction="none")
    close(losses, triplet_losses(*given, 2.5), tolerance(frontend))
    assert all(np.isfinite(grad).all() for grad in found)
    assert not found[place][2].any()
    assert found[place][1].any()


def test_lengths_do_not_matter_however_large_or_small(frontend: LossFrontend) -> None:
    anchor, positive, negative = vectors(frontend)
    small, large = (2.0**-12, 2.0**10) if frontend.dtype == "float16" else (2.0**-100, 2.0**100)
    losses, found = frontend.value_and_grads(
        "cosine_triplet", [anchor, positive * small, negative * large], reduction="none"
    )
    close(losses, triplet_losses(anchor, positive, negative), gradient_tolerance(frontend))
    assert all(np.isfinite(grad).all() for grad in found)


def test_without_a_triplet_the_loss_is_0(frontend: LossFrontend) -> None:
    loss, found = frontend.value_and_grads("cosine_triplet", [np.zeros((0, 3))] * 3)
    assert loss == 0
    assert all(grad.shape == (0, 3) for grad in found)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_that_is_not_finite_makes_its_triplet_nan_and_no_other(frontend: LossFrontend, bad: float) -> None:
    given = vectors(frontend)
    given[1][2, 0] = bad
    losses, found = frontend.value_and_grads("cosine_triplet", given, margin=2.5, reduction="none")
    assert np.isnan(losses).tolist() == [row == 2 for row in range(ROWS)]
    for grad in found:
        assert np.isfinite(grad[np.arange(ROWS) != 2]).all()


def test_a_loss_of_0_has_no_gradient(frontend: LossFrontend) -> None:
    """Also where it is exactly at the kink: cos(a, n) - cos(a, p) + margin = 0 - 1 + 1."""
    given = [np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]])]
    loss, found = frontend.value_and_grads("cosine_triplet", given, margin=1.0)
    assert loss == 0
    assert not any(grad.any() for grad in found)


@pytest.mark.parametrize("negatives", ["semi-hard", "hardest"])
def test_triplets_are_those_of_the_definition(frontend: LossFrontend, negatives: str) -> None:
    (x,) = vectors(frontend, 1)
    found = pick(frontend, x, LABELS, negatives=negatives)
    assert list(zip(*(part.tolist() for part in found), strict=True)) == triplets(x, LABELS, negatives)


def test_both_rules_of_semi_hard_are_needed_here(frontend: LossFrontend) -> None:
    (x,) = vectors(frontend, 1)
    assert triplets(x, LABELS, "semi-hard") != triplets(x, LABELS, "hardest")
    close_by = frontend.rounded([[1.0, 0.0], [0.0, 1.0], [1.0, 0.125], [1.0, 0.25]])
    _, _, negative = pick(frontend, close_by, [0, 0, 1, 1])
    assert negative.tolist()[:2] == [3, 2], "the furthest of all, because none is further than the positive"


def test_a_tie_with_the_positive_is_not_further(frontend: LossFrontend) -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, 1.0]])
    assert pick(frontend, x, [0, 0, 1, 2])[2].tolist()[0] == 3


@pytest.mark.parametrize("negatives", ["semi-hard", "hardest"])
def test_a_row_with_nan_counts_as_the_nearest(frontend: LossFrontend, negatives: str) -> None:
    """So that the loss shows it."""
    x = np.array([[1.0, 0.0], [1.0, 0.5], [0.0, 1.0], [math.nan, 0.0]])
    cases = {"hardest": [3, 3], "semi-hard": [2, 2]}  # further than the positive is what a number says
    assert pick(frontend, x, [0, 0, 1, 2], negatives=negatives)[2].tolist() == cases[negatives]


def test_random_negatives_are_of_other_labels_and_follow_the_seed(frontend: LossFrontend) -> None:
    (x,) = vectors(frontend, 1)
    anchor, positive, negative = pick(frontend, x, LABELS, negatives="random", seed=3)
    assert (LABELS[anchor] == LABELS[positive]).all()
    assert (anchor != positive).all()
    assert (LABELS[anchor] != LABELS[negative]).all()
    again = pick(frontend, x, LABELS, negatives="random", seed=3)[2]
    assert again.tolist() == negative.tolist()
    drawn = {int(pick(frontend, x, LABELS, negatives="random", seed=seed)[2][0]) for seed in range(40)}
    assert drawn == {1, 3, 5}, "each negative of row 0"


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_a_seed_that_is_no_whole_number_is_refused(frontend: LossFrontend, seed: object) -> None:
    (x,) = vectors(frontend, 1)
    with pytest.raises(OptionError, match=f"seed: found {seed}, expected a whole number, 0 or more"):
        pick(frontend, x, LABELS, negatives="random", seed=seed)


def test_batches_without_a_triplet_are_refused_unless_validate_is_false(frontend: LossFrontend) -> None:
    x = np.eye(3)
    for labels, words in (
        ([7, 7, 7], r"labels: found label 7 in all 3 rows, so that there is no negative"),
        ([7, 8, 9], r"labels: found 3 rows of as many labels, so that there is no positive"),
    ):
        with pytest.raises(LabelError, match=words):
            pick(frontend, x, labels)
        assert [part.shape for part in pick(frontend, x, labels, validate=False)] == [(0,)] * 3
    assert [part.shape for part in pick(frontend, np.zeros((0, 3)), [])] == [(0,)] * 3


def pick(frontend: LossFrontend, x: Any, labels: Any, **options: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in frontend.call("pick_triplets", [x], labels, **options)]


@pytest.mark.parametrize(
    ("shapes", "options", "error", "words"),
    [
        (
            [(3, 2), (2, 2), (3, 2)],
            {},
            ShapeError,
            r"positive: expected shape \(3, 2\), that of anchor, found \(2",
        ),
        (
            [(3, 2), (3, 2), (3, 4)],
            {},
            ShapeError,
            r"negative: expected shape \(3, 2\), that of anchor, found \(3",
        ),
        ([(3,), (3,), (3,)], {}, ShapeError, r"anchor: expected shape \(triplets, features\), found \(3,\)"),
        ([(3, 2)] * 3, {"margin": math.inf}, OptionError, r"margin: expected a finite number"),
        ([(3, 2)] * 3, {"reduction": "batch"}, OptionError, r"reduction: found 'batch'"),
        ([(3, 2)] * 3, {"denominator": 2.0}, OptionError, r"denominator: goes with reduction=\"sum\" only"),
    ],
)
def test_mistakes_are_named(
    frontend: LossFrontend, shapes: list[tuple[int, ...]], options: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        frontend.value("cosine_triplet", [np.zeros(shape) for shape in shapes], **options)


def test_unknown_negatives_and_integer_embeddings_are_named(frontend: LossFrontend) -> None:
    with pytest.raises(OptionError, match="negatives: found 'easy', expected one of 'random', 'semi-hard', 'hardest'"):
        pick(frontend, np.eye(3), [0, 0, 1], negatives="easy")
    with pytest.raises(DTypeError, match="anchor: expected float16, bfloat16, float32 or float64, found"):
        frontend.function("cosine_triplet")(*[integers(frontend)] * 3)


def integers(frontend: LossFrontend) -> Any:
    if frontend.name == "torch":
        import torch

        return torch.eye(2, dtype=torch.int32)
    return np.eye(2, dtype=np.int32)
