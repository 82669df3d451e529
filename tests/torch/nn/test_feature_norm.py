"""Zero mean and unit deviation, over a training set or over an utterance."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from seqloss.errors import DataError, DTypeError, LengthError, OptionError, ShapeError
from seqloss.torch.nn import GlobalNorm, UtteranceNorm

GENERATOR = torch.Generator().manual_seed(0)
UTTERANCES = [
    torch.randn(frames, 5, generator=GENERATOR) * torch.tensor([1.0, 2.0, 1e-3, 50.0, 1.0])
    + torch.tensor([0.0, 5.0, -3.0, 1e4, 2.0])
    for frames in (3, 40, 1, 0, 120)
]
LENGTHS = torch.tensor([len(utterance) for utterance in UTTERANCES])
ALL = torch.cat(UTTERANCES).double()
PADDED = torch.nn.utils.rnn.pad_sequence(UTTERANCES, batch_first=True, padding_value=float("nan"))


def test_the_training_set_gets_zero_mean_and_unit_deviation() -> None:
    norm = GlobalNorm(5).fit(UTTERANCES)
    normal = torch.cat([norm(one[None], torch.tensor([len(one)]))[0] for one in UTTERANCES]).double()
    np.testing.assert_allclose(normal.mean(0), np.zeros(5), atol=1e-4)
    np.testing.assert_allclose(normal.std(0, correction=0), np.ones(5), atol=1e-4)


def test_one_pass_over_utterances_gives_the_moments_of_all_frames() -> None:
    for order in (UTTERANCES, UTTERANCES[::-1]):
        norm = GlobalNorm(5).fit(iter(order))
        np.testing.assert_allclose(norm.mean, ALL.mean(0), rtol=1e-6)
        np.testing.assert_allclose(norm.deviation, ALL.std(0, correction=0), rtol=1e-6)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    utterances = [1e4 + torch.randn(50, 1, generator=GENERATOR) for _ in range(200)]
    exact = torch.cat(utterances).double().std(correction=0)
    np.testing.assert_allclose(GlobalNorm(1).fit(utterances).deviation, [exact], rtol=1e-6)


def test_fitting_again_forgets_the_first_training_set() -> None:
    norm = GlobalNorm(5).fit([100 + UTTERANCES[4]]).fit(UTTERANCES)
    assert torch.equal(norm.mean, GlobalNorm(5).fit(UTTERANCES).mean)


def test_the_fit_is_saved_with_the_model_and_is_plain_data() -> None:
    file = io.BytesIO()
    norm = GlobalNorm(5).fit(UTTERANCES)
    torch.save(norm.state_dict(), file)
    file.seek(0)
    other = GlobalNorm(5)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(PADDED, LENGTHS), norm(PADDED, LENGTHS))
    assert list(norm.parameters()) == []


def test_before_the_fit_features_pass_unchanged() -> None:
    assert torch.equal(GlobalNorm(5)(PADDED, LENGTHS), PADDED.nan_to_num())


def test_a_constant_feature_becomes_0() -> None:
    constant = torch.full((1, 20, 2), 3.0)
    assert (GlobalNorm(2).fit(constant)(constant, torch.tensor([20])) == 0).all()
    assert (UtteranceNorm()(constant, torch.tensor([20])) == 0).all()


def test_a_training_set_without_frames_is_refused() -> None:
    for nothing in ([], [torch.zeros(0, 5)]):
        with pytest.raises(
            OptionError, match=r"^GlobalNorm\.fit: found no frames, expected the features of the training"
        ):
            GlobalNorm(5).fit(nothing)


def test_another_number_of_features_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"^utterances\[0\]: expected shape \(frames, 5\), found \(20, 13\)\.$"):
        GlobalNorm(5).fit([torch.zeros(20, 13)])
    with pytest.raises(ShapeError, match=r"^features: expected shape \(batch, frames, 5\), found \(2, 20, 13\)\.$"):
        GlobalNorm(5)(torch.zeros(2, 20, 13), [20, 20])


def test_a_single_utterance_given_for_all_of_them_is_refused() -> None:
    expected = (
        r"^utterances\[0\]: expected shape \(frames, 5\), found \(5,\)\. Give a list of utterances: fit\(\[features\]\)"
    )
    with pytest.raises(ShapeError, match=expected):
        GlobalNorm(5).fit(torch.zeros(20, 5))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_feature_that_is_not_finite_is_refused_and_leaves_the_norm_as_it_was(wrong: float) -> None:
    norm, broken = GlobalNorm(5).fit(UTTERANCES), torch.zeros(20, 5)
    broken[7, 2] = wrong
    before = norm.mean.clone()
    with pytest.raises(DataError, match=rf"^utterances\[1\], frame 7, feature 2: found {wrong}, expected a finite"):
        norm.fit([torch.zeros(3, 5), broken])
    assert torch.equal(norm.mean, before)


@pytest.mark.parametrize("norm", [GlobalNorm(1), UtteranceNorm()])
def test_features_that_are_no_floats_are_refused(norm: torch.nn.Module) -> None:
    with pytest.raises(DTypeError, match=r"^features: expected a tensor of floats, found torch\.int64"):
        norm(torch.tensor([[[1], [3], [9]]]), [3])
    with pytest.raises(DTypeError, match=r"^utterances\[0\]: expected a tensor of floats, found torch\.int64"):
        GlobalNorm(1).fit([torch.tensor([[1], [3], [9]])])


@pytest.mark.parametrize("norm", [GlobalNorm(5), UtteranceNorm()])
def test_features_without_a_batch_axis_are_refused(norm: torch.nn.Module) -> None:
    with pytest.raises(ShapeError, match=r"^features: .* found \(20, 5\)\. Add a batch axis with features\[None\]"):
        norm(torch.zeros(20, 5), torch.full((20,), 5))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_results_type_is_the_one_that_the_documentation_says(kind: torch.dtype) -> None:
    features = torch.ones(1, 2, 5, dtype=kind)
    assert UtteranceNorm()(features, [2]).dtype == kind
    assert GlobalNorm(5)(features, [2]).dtype == (torch.float64 if kind == torch.float64 else torch.float32)
    assert GlobalNorm(5).to(kind)(features, [2]).dtype == kind


@pytest.mark.parametrize("norm", [GlobalNorm(5), UtteranceNorm()])
@pytest.mark.parametrize("kind", [torch.float32, torch.bool])
def test_lengths_that_are_no_integers_are_refused(norm: torch.nn.Module, kind: torch.dtype) -> None:
    with pytest.raises(DTypeError, match=f"^lengths: expected integers, found {kind}"):
        norm(PADDED, torch.ones(5).to(kind))


@pytest.mark.parametrize("norm", [GlobalNorm(5), UtteranceNorm()])
def test_lengths_may_be_a_list(norm: torch.nn.Module) -> None:
    assert torch.equal(norm(PADDED, LENGTHS.tolist()), norm(PADDED, LENGTHS))
    assert norm(torch.zeros(0, 3, 5), []).shape == (0, 3, 5)


def test_a_number_of_features_that_is_not_whole_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^features: found 1\.5, expected a whole number"):
        GlobalNorm(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("norm", [GlobalNorm(5).fit(UTTERANCES), UtteranceNorm()])
def test_a_row_does_not_depend_on_the_padding_and_the_padding_is_0(norm: torch.nn.Module) -> None:
    batch = norm(PADDED, LENGTHS)
    for row, utterance in enumerate(UTTERANCES):
        alone = norm(utterance[None], LENGTHS[row : row + 1])[0]
        assert torch.equal(batch[row, : len(utterance)], alone)
        assert (batch[row, len(utterance) :] == 0).all()


@pytest.mark.parametrize("norm", [GlobalNorm(5), UtteranceNorm()])
def test_a_length_beyond_the_frames_is_refused(norm: torch.nn.Module) -> None:
    with pytest.raises(LengthError, match=r"^lengths\[0\]: found 121, expected 0 to 120"):
        norm(PADDED, torch.tensor([121, 1, 1, 1, 1]))


def test_an_utterance_gets_zero_mean_and_unit_deviation_over_its_own_frames() -> None:
    batch = UtteranceNorm()(PADDED, LENGTHS)
    for row in (0, 1, 4):
        frames = batch[row, : LENGTHS[row]].double()
        np.testing.assert_allclose(frames.mean(0), np.zeros(5), atol=1e-5)
        np.testing.assert_allclose(frames.std(0, correction=0), np.ones(5), atol=1e-5)
    assert (batch[2] == 0).all()  # a single frame


def test_a_louder_recording_of_an_utterance_normalises_to_the_same() -> None:
    louder = UtteranceNorm()(PADDED + 2.5, LENGTHS)
    np.testing.assert_allclose(louder[4, :, :2], UtteranceNorm()(PADDED, LENGTHS)[4, :, :2], atol=1e-4)


def test_gradients_are_finite_also_for_a_single_frame() -> None:
    features = PADDED.nan_to_num().requires_grad_()
    UtteranceNorm()(features, LENGTHS).square().sum().backward()
    assert torch.isfinite(features.grad).all()
