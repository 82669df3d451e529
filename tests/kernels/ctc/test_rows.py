"""What keeps the CPU kernel exact: each safeguard met on the input that breaks without it."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss import contract, reference
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.ctc.rows import Path

KINDS = [np.float32, np.float64]


def draw(batch: int, frames: int, classes: int, labels: int, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([batch, frames, classes, labels])
    return scale * rng.standard_normal((batch, frames, classes)), rng.integers(1, classes, (batch, labels))


def compare(logits: np.ndarray, targets: np.ndarray, kind: type, path: int | None = None, **options) -> None:
    """Hold loss and gradient of the scores, as `kind` rounds them, against the definition.

    A path sum rounds a few times a frame, in float64 wherever the loss is small: hence the loss's absolute bound.
    """
    logits = logits.astype(kind)
    losses, paths, gradient = loss_and_grad(logits, contract.validate(logits.shape, targets), **options)
    wider = np.float64 if kind is np.float32 else np.longdouble
    exact, exact_gradient = reference.ctc_loss_and_grad(logits.astype(wider), targets, **options)
    if path is not None:
        assert (paths == path).all()
    rounding = float(np.finfo(kind).eps)
    np.testing.assert_allclose(losses, exact, rtol=20 * rounding, atol=logits.shape[1] * 2.0**-52)
    error = np.abs(gradient - exact_gradient).max(-1)
    assert error.max() <= 8 * max(rounding, 1e-14)
    assert (error <= 1e-5 * max(rounding / 1.2e-7, 1e-6) * np.abs(exact_gradient).max(-1) + contract.SMALLEST).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape",
    [
        (3, 7, 5, 0), (3, 7, 5, 1), (2, 30, 5, 7), (2, 30, 17, 8), (2, 40, 16, 15), (2, 40, 15, 16), (2, 40, 33, 17),
        (2, 70, 64, 31), (2, 70, 31, 32), (2, 70, 32, 33), (1, 500, 40, 200), (1, 40, 600, 12), (1, 9, 20000, 3),
    ],
)  # fmt: skip
def test_loss_and_gradient_are_the_definitions_around_every_vector_width(shape, kind) -> None:
    compare(*draw(*shape), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_frames_probabilities_have_all_digits_of_the_scores_type(kind) -> None:
    compare(*draw(200, 1, 3, 1), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_just_fits_and_one_of_repeats_alone(kind) -> None:
    logits, targets = draw(1, 40, 30, 20)
    logits = logits[:, : contract.required_frames(targets, np.array([20]))[0]]
    compare(logits, targets, kind)
    compare(draw(1, 41, 4, 3)[0], np.full((1, 21), 3), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_minus_infinity_stay_nothing_through_every_sum(kind) -> None:
    logits, targets = draw(2, 60, 12, 20)
    logits[np.random.default_rng(0).random(logits.shape) < 0.2] = -np.inf
    logits[:, :, 0] = 0.0
    compare(logits, targets, kind)


def test_masks_of_tens_of_millions_do_not_wrap() -> None:
    logits, targets = draw(1, 400, 5, 9)
    logits[:, :, 1:] -= 3e7
    logits[:, :, 0] -= np.where(np.arange(400) % 2, 0.0, 6e7)
    compare(logits, targets, np.float32, Path.DEEP)


def test_masks_of_ten_thousand_do_not_wrap_a_million_frames() -> None:
    """Each frame masks the blank or the label by 1e4 nats, in turn, so that a path pays half of the masks."""
    frames = 1_000_000
    logits = np.zeros((1, frames, 2), np.float32)
    logits[:, ::2, 0] = -1e4
    logits[:, 1::2, 1] = -1e4
    losses, paths, _ = loss_and_grad(logits, contract.validate(logits.shape, [[1]]), gradient=False)
    assert paths.tolist() == [Path.DEEP]
    # label in one even frame, or over k odd frames k + 1 even ones at the same price: 500,000 * 500,001 / 2 paths
    exact = 1e4 * (frames / 2 - 1) - np.log(500_000 * 500_001 / 2)
    assert losses[0] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin", [4.0, 9.0, 14.0, 18.0])
def test_the_loss_and_gradient_of_a_confident_model_keep_their_digits(margin, kind) -> None:
    frames, labels = 600, 80
    logits, targets = draw(1, frames, 30, labels, scale=0.5)
    for position, label in enumerate(targets[0]):
        logits[0, 7 * position + 3 : 7 * position + 5, label] += margin + 3
    logits[0, logits[0].max(1) < margin, 0] += margin + 3
    compare(logits, targets, kind, Path.FAST)


@pytest.mark.parametrize("margin", [16.0, 30.0])
def test_a_small_loss_of_2000_frames_keeps_its_digits(margin) -> None:
    logits = np.zeros((1, 2000, 4), np.float32)
    logits[:, :, 0] = margin
    exact = reference.ctc_loss_and_grad(logits.astype(np.float64), np.zeros((1, 0), int))[0]
    losses, paths, _ = loss_and_grad(logits, contract.validate(logits.shape, np.zeros((1, 0), int)))
    assert paths.tolist() == [Path.FAST]
    assert losses[0] == pytest.approx(exact[0], rel=2e-7, abs=0.0)


@pytest.mark.parametrize("classes", [3, 40])
def test_what_a_targets_classes_add_to_the_softmax_the_paths_take_back(classes) -> None:
    """A label in one of two frames, both nearly even between it and the blank: only the others' 1e-4 is lost."""
    logits = np.full((1, 12, classes), -13.0)
    logits[:, :, 0] = np.linspace(0.0, 1.0, 12)
    logits[:, :, 1] = np.linspace(-0.7, 3.3, 12)
    logits = logits.astype(np.float32)
    losses, _, _ = loss_and_grad(logits, contract.validate(logits.shape, [[1]]))
    exact = reference.ctc_loss_and_grad(logits.astype(np.longdouble), [[1]])[0]
    np.testing.assert_allclose(losses, exact.astype(np.float64), rtol=2.0**-23)


def test_rows_of_the_gradient_add_up_to_nothing_after_20000_frames() -> None:
    logits, targets = draw(1, 20_000, 8, 500)
    gradient = loss_and_grad(logits.astype(np.float32), contract.validate(logits.shape, targets))[2]
    assert np.abs(gradient.sum(-1, dtype=np.float64)).max() < 5e-7


def test_the_gradient_does_not_drift_over_4000_frames_and_800_labels() -> None:
    logits, targets = draw(1, 4000, 32, 800)
    compare(logits, targets, np.float32, Path.FAST)


@pytest.mark.parametrize("classes", [50_000, 262_144])
def test_a_flat_softmax_over_many_classes_keeps_its_digits(classes) -> None:
    compare(np.zeros((1, 3, classes)), np.array([[5]]), np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-3, 1500.0])
def test_flat_and_extreme_scores(scale, kind) -> None:
    compare(*draw(2, 90, 20, 12, scale=scale), kind)


@pytest.mark.parametrize("largest", [300.7, 3000.7])
@pytest.mark.parametrize("classes", [4, 40])
def test_emissions_far_under_the_frames_largest_keep_their_ratios(classes, largest) -> None:
    logits = np.full((1, 3, classes), -np.inf)
    logits[..., 3] = largest
    logits[0, :, 1:3] = [[0.1234567, -2.0], [0.3456789, 0.7654321], [-1.0, 0.2345678]]
    compare(logits, np.array([[1, 2]]), np.float32)


@pytest.mark.parametrize("margin", [0.0, 5.0, 12.0, 20.0])
@pytest.mark.parametrize("classes", [3, 8, 60, 200])
def test_a_loss_is_right_to_two_roundings_for_any_margin_and_offset_of_the_scores(classes, margin) -> None:
    rng = np.random.default_rng([classes, int(margin)])
    frames, places = 5, np.arange(5)
    targets = rng.integers(1, classes, (400, 1))
    logits = rng.choice([0.1, 1.0, 3.0], (400, 1, 1)) * rng.standard_normal((400, frames, classes))
    logits += rng.uniform(-20.0, 20.0, (400, frames, 1))
    logits[np.arange(400)[:, None], places, np.where(places == 2, targets, 0)] += margin
    logits = logits.astype(np.float32)
    losses = loss_and_grad(logits, contract.validate(logits.shape, targets))[0]
    exact = reference.ctc_loss_and_grad(logits.astype(np.longdouble), targets)[0].astype(float)
    np.testing.assert_allclose(losses, exact, rtol=2 * np.finfo(np.float32).eps, atol=frames * 2.0**-52)


@pytest.mark.parametrize("kind", KINDS)
def test_finite_scores_whose_sum_overflows_are_finite(kind) -> None:
    logits = np.zeros((1, 3, 40), kind)
    logits[..., 1:] = np.finfo(kind).max
    losses, paths, _ = loss_and_grad(logits, contract.validate(logits.shape, [[1]]))
    assert paths.tolist() == [Path.FAST]
    assert losses[0] == pytest.approx(3 * np.log(39.0), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("poison", [np.nan, -np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 15, 16, 36])
def test_a_non_finite_score_anywhere_in_a_frame_makes_its_row_alone_nan(place, poison, kind) -> None:
    logits, targets = (array[:3] for array in draw(3, 20, 37, 4))
    logits = logits.astype(kind)
    logits[:, 7, place - 1] = -np.inf
    clean = loss_and_grad(logits, contract.validate(logits.shape, targets))
    logits[1, 7, place] = poison
    losses, paths, gradient = loss_and_grad(logits, contract.validate(logits.shape, targets))
    assert paths.tolist() == [clean[1][0], Path.NON_FINITE, clean[1][2]]
    assert np.isnan(losses[1])
    assert np.isnan(gradient[1]).all()
    assert (losses[[0, 2]] == clean[0][[0, 2]]).all()
    assert (gradient[[0, 2]] == clean[2][[0, 2]]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 12])
def test_entries_under_the_smallest_normal_number_are_exactly_zero(labels, kind) -> None:
    """With 12 labels every class has a number, with one label two."""
    logits = np.zeros((40, 4 * labels, 20), kind)
    logits[..., 2:] = np.linspace(-80.0, -110.0, 18)
    logits[:, 0, 1] = np.linspace(-85.0, -88.0, 40)  # a class of the target, whose softmax and posterior nearly cancel
    gradient = loss_and_grad(logits, contract.validate(logits.shape, np.ones((40, labels), int)))[2]
    assert (gradient[..., -1] == 0.0).all()
    assert (gradient[..., 2] > 0.0).all()
    assert not ((gradient != 0.0) & (np.abs(gradient) < contract.SMALLEST)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_likely_class_has_exactly_zero_for_an_entry_under_the_smallest_normal_number(kind) -> None:
    """A label in frame 1, else blank, and the others' share of a frame is 1e-36 to 1e-43."""
    logits = np.empty((40, 4, 20), kind)
    logits[:] = np.linspace(-83.0, -100.0, 40)[:, None, None]
    logits[:, [0, 1, 2, 3], [0, 1, 0, 0]] = 0.0
    gradient = loss_and_grad(logits, contract.validate(logits.shape, np.ones((40, 1), int)))[2]
    sure = gradient[:, [0, 1, 2, 3], [0, 1, 0, 0]]
    assert (sure[0] != 0.0).all()
    assert (sure[-1] == 0.0).all()
    assert not ((sure != 0.0) & (np.abs(sure) < contract.SMALLEST)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_unnormalised_scores_are_used_unchanged(kind) -> None:
    logits, targets = draw(2, 50, 20, 9)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True)) - 0.5
    compare(log_probs, targets, kind, normalize=False)


def test_a_row_that_breaks_the_contract_unchecked_is_nan_and_reads_nothing_outside() -> None:
    logits = np.zeros((5, 4, 3), np.float32)
    targets = np.array([[1], [7], [-9], [0], [2**40]])
    batch = contract.validate(logits.shape, targets, values=False)
    losses, paths, gradient = loss_and_grad(logits, batch)
    assert paths.tolist() == [Path.FAST, *[Path.REFUSED] * 4]
    assert np.isnan(losses[1:]).all()
    assert np.isnan(gradient[1:]).all()
    assert np.isfinite(gradient[0]).all()


@pytest.mark.parametrize(("logit_length", "target_length"), [(-1, 1), (5, 1), (4, -1), (4, 2)])
def test_a_length_that_breaks_the_contract_unchecked_is_nan(logit_length, target_length) -> None:
    batch = contract.validate((1, 4, 3), [[1]], [logit_length], [target_length], values=False)
    losses, paths, gradient = loss_and_grad(np.zeros((1, 4, 3)), batch)
    assert paths.tolist() == [Path.REFUSED]
    assert np.isnan(losses).all()
    assert gradient.shape == (1, 4, 3)


def test_a_strided_batch_gives_the_same_bits_as_its_copy() -> None:
    logits, targets = draw(3, 20, 37, 4)
    wide = np.repeat(logits.astype(np.float32), 2, axis=2).transpose(1, 0, 2)
    view = wide.transpose(1, 0, 2)[:, :, ::2]
    batch = contract.validate(logits.shape, targets)
    for strided, copied in zip(loss_and_grad(view, batch), loss_and_grad(view.copy(), batch), strict=True):
        assert strided.tobytes() == copied.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_alone_has_the_bits_of_the_loss_with_its_gradient(kind) -> None:
    logits, targets = draw(4, 90, 20, 30)
    batch = contract.validate(logits.shape, targets)
    alone = loss_and_grad(logits.astype(kind), batch, gradient=False)
    assert alone[2] is None
    assert alone[0].tobytes() == loss_and_grad(logits.astype(kind), batch)[0].tobytes()
