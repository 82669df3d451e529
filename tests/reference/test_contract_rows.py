"""The contract's table, one test a row, for the reference."""

import numpy as np
import pytest

from seqloss import errors, reference
from seqloss.reference.scores import log_softmax

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 6, 4))
NAN, INF = np.nan, np.inf


def loss_and_grad(logits, targets, *args, **options):  # type: ignore[no-untyped-def]
    return reference.ctc_loss_and_grad(logits, targets, *args, **options)


def test_an_empty_target_costs_all_blanks() -> None:
    loss, grad = loss_and_grad(LOGITS, np.zeros((2, 0), np.int64), blank=2)
    expected = [-log_softmax(row)[:, 2].sum() for row in LOGITS]
    np.testing.assert_allclose(loss, expected, rtol=1e-14)
    assert np.isfinite(grad).all()


def test_no_frames_and_no_labels_cost_nothing() -> None:
    loss, grad = loss_and_grad(np.zeros((2, 0, 3)), np.zeros((2, 0), np.int64))
    assert loss.tolist() == [0.0, 0.0]
    assert grad.shape == (2, 0, 3)
    assert loss_and_grad(LOGITS, [[1], [1]], [0, 0], [0, 0])[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("frames", "target"), [(0, [1]), (2, [1, 2, 3]), (6, [1, 1, 1, 1]), (3, [2, 2, 1])], ids=str)
def test_too_few_frames_are_infeasible(frames: int, target: list[int]) -> None:
    loss, grad = loss_and_grad(LOGITS[:1], [target], [frames])
    assert loss.tolist() == [INF]
    assert not grad.any()
    assert np.isfinite(loss_and_grad(np.zeros((1, frames + 1, 4)), [target])[0]).all()


def test_scores_that_close_every_path_are_infeasible() -> None:
    logits = LOGITS[:1].copy()
    logits[..., 1] = -INF
    loss, grad = loss_and_grad(logits, [[2, 1]])
    assert loss.tolist() == [INF]
    assert not grad.any()


def test_infeasible_zero_gives_zero_and_leaves_other_rows_alone() -> None:
    loss, grad = loss_and_grad(LOGITS, [[1, 1, 1, 1], [1, 2, 3, 1]], infeasible="zero")
    assert loss[0] == 0
    assert not grad[0].any()
    assert loss[1] == loss_and_grad(LOGITS[1:], [[1, 2, 3, 1]])[0][0] > 0


@pytest.mark.parametrize("call", [reference.ctc_loss_and_grad, reference.ctc_posteriors, reference.ctc_align])
def test_infeasible_raise_names_the_row_and_its_numbers(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(errors.InfeasibleError, match=r"row 1: .*4 labels with 3 adjacent repeats need 7 frames"):
        call(LOGITS, [[1, 2, 3, 1], [1, 1, 1, 1]], infeasible="raise")


def test_a_row_closed_by_scores_is_raised_with_that_cause() -> None:
    logits = np.full((1, 3, 2), -INF)
    logits[..., 0] = 0
    with pytest.raises(errors.InfeasibleError, match=r"row 0: .*every path meets a score of -inf \(3 frames"):
        loss_and_grad(logits, [[1]], infeasible="raise")


def test_minus_infinity_beside_a_path_that_fits_is_exact() -> None:
    logits = np.array([[[0.0, 1.0, -INF], [-INF, 2.0, 0.5], [1.0, -INF, 0.0]]])
    finite = np.where(np.isneginf(logits), -1e5, logits)
    loss, grad = loss_and_grad(logits, [[1]])
    np.testing.assert_allclose(loss, loss_and_grad(finite, [[1]])[0], rtol=1e-14)
    np.testing.assert_allclose(grad, loss_and_grad(finite, [[1]])[1], rtol=1e-14)
    assert (grad[np.isneginf(logits)] == 0).all()


def test_a_mask_of_minus_ten_thousand_is_a_score() -> None:
    logits = np.zeros((1, 4, 3))
    logits[..., 1] = -1e4
    assert loss_and_grad(logits, [[1, 1]])[0][0] == pytest.approx(2e4 + 4 * np.log(2) - np.log(3), rel=1e-13)


@pytest.mark.parametrize("masked", [-1.0001e8, np.finfo(np.float32).min, np.finfo(np.float64).min])
def test_scores_over_1e8_below_the_largest_are_minus_infinity(masked: float) -> None:
    logits = LOGITS[:1].copy()
    logits[0, 2, 3] = masked
    closed = logits.copy()
    closed[0, 2, 3] = -INF
    for found, expected in zip(loss_and_grad(logits, [[1, 2]]), loss_and_grad(closed, [[1, 2]]), strict=True):
        assert (found == expected).all()
    logits[..., 3] = masked
    assert loss_and_grad(logits, [[3]])[0].tolist() == [INF]


def test_a_score_just_inside_1e8_still_counts() -> None:
    logits = np.zeros((1, 1, 2))
    logits[0, 0, 1] = -0.9999e8
    assert loss_and_grad(logits, [[1]])[0].tolist() == [0.9999e8]


def test_scores_that_are_all_very_low_are_only_far_from_zero() -> None:
    low = np.full((1, 3, 2), -3e38)
    assert loss_and_grad(low, [[1]])[0] == loss_and_grad(np.zeros((1, 3, 2)), [[1]])[0]


@pytest.mark.parametrize("poison", [NAN, INF])
@pytest.mark.parametrize("target", [[1, 2], [1, 1]], ids=["fits", "does not fit"])
def test_nan_and_plus_infinity_make_only_their_row_nan(poison: float, target: list[int]) -> None:
    logits, targets = LOGITS[:, :2].copy(), [target, [1, 2]]
    logits[0, 1, 3] = poison
    loss, grad = loss_and_grad(logits, targets, infeasible="raise")
    assert np.isnan(loss[0])
    assert np.isnan(grad[0]).all()
    assert loss[1] == loss_and_grad(LOGITS[1:, :2], [[1, 2]])[0][0]
    assert np.isnan(reference.ctc_posteriors(logits, targets)[0]).all()
    found = reference.ctc_align(logits, targets)
    assert np.isnan(found.total[0])
    assert np.isnan(found.scores[0]).all()
    assert (found.classes[0] == -1).all()


def test_a_frame_of_nothing_but_minus_infinity_poisons_its_row() -> None:
    logits = LOGITS.copy()
    logits[1, 3] = -INF
    loss, grad = loss_and_grad(logits, [[1], [1]])
    assert np.isnan(loss).tolist() == [False, True]
    assert np.isnan(grad).all(axis=(1, 2)).tolist() == [False, True]
    assert np.isnan(reference.ctc_posteriors(logits, [[1], [1]])).all(axis=(1, 2)).tolist() == [False, True]
    assert np.isnan(reference.ctc_align(logits, [[1], [1]]).total).tolist() == [False, True]


@pytest.mark.parametrize("garbage", [NAN, INF, -INF, 1e300])
def test_nothing_past_a_rows_lengths_is_read(garbage: float) -> None:
    logits = LOGITS.copy()
    logits[0, 4:] = garbage
    targets = [[1, 2, -100, 99], [3, 2, 1, 2]]
    loss, grad = loss_and_grad(logits, targets, [4, 6], [2, 4])
    alone, alone_grad = loss_and_grad(LOGITS[:1, :4], [[1, 2]])
    assert loss[0] == alone[0]
    assert (grad[0, :4] == alone_grad[0]).all()
    assert (grad[0, 4:] == 0).all()
    assert (reference.ctc_posteriors(logits, targets, [4, 6], [2, 4])[0, 4:] == 0).all()
    found = reference.ctc_align(logits, targets, [4, 6], [2, 4])
    assert (found.classes[0, 4:] == -1).all()
    assert (found.first[0, 2:] == -1).all()


def test_a_poisoned_row_has_zero_gradient_in_its_padding() -> None:
    logits = LOGITS[:1].copy()
    logits[0, 0, 0] = NAN
    assert (loss_and_grad(logits, [[1]], [4])[1][0, 4:] == 0).all()


def test_bad_arguments_are_errors_of_the_contract() -> None:
    for call in (reference.ctc_loss_and_grad, reference.ctc_posteriors, reference.ctc_align):
        with pytest.raises(errors.LabelError, match=r"targets\[0, 1\]: found label 7"):
            call(LOGITS[:1], [[1, 7]])
        with pytest.raises(errors.LengthError, match=r"logit_lengths\[0\]: found 9"):
            call(LOGITS[:1], [[1]], [9])
        with pytest.raises(errors.OptionError, match="infeasible: found 'ignore'"):
            call(LOGITS[:1], [[1]], infeasible="ignore")  # type: ignore[arg-type]
        with pytest.raises(errors.DTypeError, match=r"logits: .*found int64"):
            call(np.zeros((1, 2, 3), int), [[1]])
        with pytest.raises(errors.DTypeError, match=r"logits: .*found complex128"):
            call(np.zeros((1, 2, 3), complex), [[1]])


def test_batch_of_none_time_of_none_and_one_class_work() -> None:
    loss, grad = loss_and_grad(np.zeros((0, 5, 3)), np.zeros((0, 2), np.int64))
    assert (loss.shape, grad.shape) == ((0,), (0, 5, 3))
    assert loss_and_grad(np.zeros((1, 0, 3)), [[1]])[0].tolist() == [INF]
    loss, grad = loss_and_grad(np.full((1, 5, 1), 7.0), np.zeros((1, 0), np.int64))
    assert loss.tolist() == [0.0]
    assert not grad.any()


def test_a_sure_and_right_models_loss_is_small_and_never_negative() -> None:
    for margin in (30.0, 50.0, 80.0, 1000.0):
        logits = np.zeros((1, 4, 3))
        logits[0, np.arange(4), [1, 0, 2, 2]] = margin
        loss, _ = loss_and_grad(logits, [[1, 2]])
        assert 0 <= loss[0] < 1e-12
        assert not np.signbit(loss[0])


def test_entries_under_the_least_normal_float32_are_exactly_zero() -> None:
    logits = np.zeros((1, 1, 3))
    logits[0, 0] = [-86.0, 0.0, -90.0]
    _, grad = loss_and_grad(logits, [[1]])
    assert grad[0, 0, 0] == pytest.approx(np.exp(-86.0), rel=1e-12)
    assert grad[0, 0, 2] == 0
    logits[0, 0, 0] = -90.0
    assert loss_and_grad(logits, [[1]])[0][0] == 0


def test_concatenated_targets_are_the_padded_ones() -> None:
    padded = loss_and_grad(LOGITS, [[1, 2], [3, 0]], None, [2, 1])[0]
    assert (loss_and_grad(LOGITS, [1, 2, 3], None, [2, 1])[0] == padded).all()


def test_a_negative_blank_counts_from_the_end() -> None:
    assert (loss_and_grad(LOGITS, [[1], [2]], blank=-1)[0] == loss_and_grad(LOGITS, [[1], [2]], blank=3)[0]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_results_are_float64_for_every_type_of_scores(dtype: type) -> None:
    loss, grad = loss_and_grad(LOGITS.astype(dtype), [[1], [2]])
    assert (loss.dtype, grad.dtype) == (np.float64, np.float64)
    assert (loss == loss_and_grad(LOGITS.astype(dtype).astype(np.float64), [[1], [2]])[0]).all()


class TestUnnormalised:
    """`normalize=False`: the scores are log-probabilities as they stand."""

    LOG_PROBS = np.stack([log_softmax(row) for row in LOGITS])

    def test_loss_is_that_of_the_logits_and_gradient_minus_the_posteriors(self) -> None:
        loss, grad = loss_and_grad(self.LOG_PROBS, [[1, 2], [3, 3]], normalize=False)
        np.testing.assert_allclose(loss, loss_and_grad(LOGITS, [[1, 2], [3, 3]])[0], rtol=1e-13)
        gamma = reference.ctc_posteriors(self.LOG_PROBS, [[1, 2], [3, 3]], normalize=False)
        assert (grad == -gamma).all()

    @pytest.mark.parametrize("garbage", [NAN, INF, -INF, -9.0])
    def test_classes_beside_blank_and_target_are_never_read(self, garbage: float) -> None:
        log_probs = self.LOG_PROBS[:1].copy()
        log_probs[..., 3] = garbage
        loss, grad = loss_and_grad(log_probs, [[1, 2]], normalize=False)
        expected, expected_grad = loss_and_grad(self.LOG_PROBS[:1], [[1, 2]], normalize=False)
        assert loss == expected
        assert (grad == expected_grad).all()

    @pytest.mark.parametrize("poison", [NAN, INF])
    def test_classes_of_blank_and_target_poison(self, poison: float) -> None:
        log_probs = self.LOG_PROBS[:1].copy()
        log_probs[0, 5, 2] = poison
        assert np.isnan(loss_and_grad(log_probs, [[1, 2]], normalize=False)[0]).all()

    def test_a_frame_of_nothing_but_minus_infinity_is_infeasible(self) -> None:
        log_probs = self.LOG_PROBS[:1].copy()
        log_probs[0, 3, :3] = -INF
        assert loss_and_grad(log_probs, [[1, 2]], normalize=False)[0].tolist() == [INF]
        log_probs[0, 3] = -INF
        loss, grad = loss_and_grad(log_probs, [[1, 2]], normalize=False)
        assert loss.tolist() == [INF]
        assert not grad.any()

    def test_more_probability_than_one_is_refused(self) -> None:
        log_probs = self.LOG_PROBS.copy()
        log_probs[1, 4] += 3.0
        with pytest.raises(errors.NormalizationError, match=r"logits\[1, 4\]: .*add up to \d"):
            loss_and_grad(log_probs, [[1, 2], [1, 3]], normalize=False)

    def test_more_probability_than_one_past_the_length_is_not_looked_at(self) -> None:
        log_probs = self.LOG_PROBS.copy()
        log_probs[1, 4:] += 3.0
        assert np.isfinite(loss_and_grad(log_probs, [[1, 2], [1, 3]], [6, 4], normalize=False)[0]).all()

    def test_masks_count_from_the_largest_score_that_is_read(self) -> None:
        low = np.full((1, 2, 3), -9e7)
        low[..., 2] = 0.0
        low[:, 0, 1] = -1.8e8
        assert loss_and_grad(low, [[1]], normalize=False)[0][0] == pytest.approx(1.8e8)

    def test_a_frame_of_which_nothing_over_minus_1e8_is_read_is_infeasible(self) -> None:
        low = np.full((1, 2, 3), -2e8)
        low[..., 2] = 0.0
        loss, grad = loss_and_grad(low, [[1]], normalize=False)
        assert loss.tolist() == [INF]
        assert not grad.any()
