"""Log-mel features: what other libraries compute, and that a row does not depend on its batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloss.errors import DTypeError, LengthError, OptionError, ShapeError
from seqloss.torch.nn import LogMel, frames_of_samples
from seqloss.torch.nn.mel_filters import mel_filters

LIBROSA = np.load(Path(__file__).with_name("librosa_features.npz"))
"""Written by `write_librosa_features.py` with the versions in `versions`; digital silence and 60 dB of range."""

RATES = {"at_16000": 16_000, "at_8000": 8_000, "at_22050": 22_050}
SOUND = 0.1 * torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0))


def samples_of(case: str) -> torch.Tensor:
    return torch.from_numpy(LIBROSA[case].astype(np.float32) / 32768)


@pytest.mark.parametrize("case", RATES)
def test_features_agree_with_librosa_to_1e_5(case: str) -> None:
    expected = LIBROSA[f"{case}_features"]
    features, lengths = LogMel(RATES[case], expected.shape[1])(samples_of(case)[None])
    assert lengths.tolist() == [len(expected)]
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features[0].numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["at_16000", "at_8000"])
def test_features_agree_with_transformers_to_1e_5(case: str) -> None:
    audio = pytest.importorskip("transformers.audio_utils")
    rate, filters = RATES[case], LIBROSA[f"{case}_features"].shape[1]
    module = LogMel(rate, filters)
    bank = audio.mel_filter_bank(
        module.fft_size // 2 + 1, filters, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney"
    )
    energies = audio.spectrogram(
        samples_of(case).double().numpy(), audio.window_function(module.window, "hann"), module.window, module.hop,
        module.fft_size, power=2.0, center=True, pad_mode="constant", mel_filters=bank, mel_floor=1e-10,
        dtype=np.float64,
    )  # fmt: skip
    features, _ = module(samples_of(case)[None])
    np.testing.assert_allclose(features[0].numpy(), np.log(energies).T, rtol=0, atol=1e-5)


def test_features_agree_with_whispers_but_for_its_scale_and_its_padding() -> None:
    transformers = pytest.importorskip("transformers")
    whisper = transformers.WhisperFeatureExtractor(chunk_length=1)
    sound = 0.1 * np.random.default_rng(0).normal(size=16_000).astype(np.float32)  # all within its 8 decades
    expected = whisper(sound, sampling_rate=16_000, return_tensors="np").input_features[0].T  # (100, 80)
    features, _ = LogMel()(torch.from_numpy(sound)[None])
    scaled = (features[0] / np.log(10) + 4) / 4
    # Whisper reflects the sound at its ends, drops the last frame, and takes the logarithm to base 10
    np.testing.assert_allclose(scaled[2:-3].numpy(), expected[2:-2], rtol=0, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_features_agree_with_librosa_where_it_is_installed(rate: int) -> None:
    librosa = pytest.importorskip("librosa")
    module, sound = LogMel(rate), SOUND[0]
    energies = librosa.feature.melspectrogram(
        y=sound.double().numpy(), sr=rate, n_fft=module.fft_size, win_length=module.window, hop_length=module.hop,
        n_mels=80,
    )  # fmt: skip
    expected = np.log(np.maximum(1e-10, energies)).T
    np.testing.assert_allclose(module(sound[None])[0][0].numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("filters", [13, 40, 80, 128])
def test_no_filter_is_empty_and_all_have_one_area(rate: int, filters: int) -> None:
    module = LogMel(rate, filters)
    assert (module.weights > 0).any(0).all()
    assert module.fft_size >= module.window
    fine = mel_filters(rate, 1 << 16, filters)
    np.testing.assert_allclose(fine.sum(0) * rate / (1 << 16), np.ones(filters), rtol=0.01)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 399, 400, 401, 16_000])
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_the_number_of_frames_follows_from_that_of_samples(samples: int, rate: int) -> None:
    module = LogMel(rate)
    features, lengths = module(torch.ones(2, samples))
    frames = module.frames_of_samples(samples)
    assert features.shape == (2, frames, 80)
    assert lengths.tolist() == [frames, frames]
    assert frames == (1 + samples // module.hop if samples else 0)


def test_16_khz_have_100_frames_per_second() -> None:
    assert [frames_of_samples(samples) for samples in (0, 1, 159, 160, 16_000)] == [0, 1, 1, 2, 101]


def test_a_frame_is_centred_at_its_time() -> None:
    click = torch.zeros(1, 16_000)
    click[0, 8_000] = 1.0
    module = LogMel()
    loudest = int(module(click)[0][0].sum(1).argmax())
    assert module.seconds_of_frame(loudest) == 0.5


@pytest.mark.parametrize("padding", [0.0, 5.0, float("nan"), float("inf")])
def test_a_rows_features_do_not_depend_on_its_padding(padding: float) -> None:
    lengths = torch.tensor([20_000, 1, 399, 7_777])
    sounds = SOUND.clone()
    for row, length in enumerate(lengths):
        sounds[row, length:] = padding
    features, frames = LogMel()(sounds, lengths)
    for row, length in enumerate(lengths):
        alone, _ = LogMel()(SOUND[row : row + 1, :length])
        assert torch.equal(features[row, : frames[row]], alone[0])
        assert (features[row, frames[row] :] == 0).all()


def test_silence_is_at_the_floor_and_the_noise_of_16_bits_has_3_times_its_energy() -> None:
    silence, _ = LogMel()(torch.zeros(1, 16_000))
    np.testing.assert_allclose(silence.numpy(), np.log(1e-10), rtol=1e-6)
    noise = (torch.rand(1, 160_000, generator=torch.Generator().manual_seed(0)) - 0.5) / 32768
    energies = LogMel()(noise)[0][0].exp().mean(0)
    np.testing.assert_allclose(energies.numpy(), 3e-10, rtol=0.15)


def test_halving_or_saving_the_model_leaves_the_filters_exact() -> None:
    module = torch.nn.Sequential(LogMel(), torch.nn.Linear(1, 1)).half()
    assert torch.equal(module[0](SOUND)[0], LogMel()(SOUND)[0])
    assert list(LogMel().state_dict()) == []


def test_an_empty_row_has_no_frames() -> None:
    features, frames = LogMel()(SOUND, torch.tensor([0, 20_000, 0, 1]))
    assert frames.tolist() == [0, 126, 0, 1]
    assert (features[0] == 0).all()


def test_a_gradient_flows_to_the_samples() -> None:
    sounds = SOUND[:, :800].clone().requires_grad_()
    LogMel()(sounds, torch.tensor([800, 400, 800, 800]))[0].sum().backward()
    assert torch.isfinite(sounds.grad).all()
    assert (sounds.grad[1, 400:] == 0).all()
    assert (sounds.grad[0] != 0).any()


@pytest.mark.parametrize(("samples", "lengths", "error", "message"), [
    (torch.zeros(2, 2, 800), None, ShapeError, r"^samples: expected shape \(batch, samples\), found \(2, 2, 800\)\."),
    (torch.zeros(2, 800, dtype=torch.int16), None, DTypeError, r"^samples: expected floats with a full scale of -1 to"),
    (torch.zeros(2, 800), torch.tensor([800]), ShapeError, r"^lengths: expected shape \(2,\), one for each row, found"),
    (torch.zeros(2, 800), torch.tensor([1.0, 0.5]), DTypeError, r"^lengths: expected integers, found torch\.float32; "),
    (torch.zeros(2, 800), torch.tensor([True, True]), DTypeError, r"^lengths: expected integers, found torch\.bool; "),
    (torch.zeros(2, 800), [1.0, 0.5], DTypeError, r"^lengths: expected integers, found torch\.float32; "),
    (torch.zeros(2, 800), ["a", "b"], DTypeError, r"^lengths: expected integers, one for each row, found \['a',"),
    (torch.zeros(2, 800), torch.tensor([800, 801]), LengthError, r"^lengths\[1\]: found 801, expected 0 to 800 \(the"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(
    samples: torch.Tensor, lengths: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        LogMel()(samples, lengths)


def test_a_negative_number_of_samples_has_no_frames() -> None:
    with pytest.raises(
        LengthError, match=r"^samples: found -1 with hop 160, expected at least 0 and a hop of at least"
    ):
        frames_of_samples(-1)


def test_a_hop_below_a_sample_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^LogMel: found window 1, hop 0 samples, expected 1 or more\.$"):
        LogMel(40)


@pytest.mark.parametrize("filters", [0, 1.5, True])
def test_a_number_of_filters_that_is_not_whole_is_refused(filters: Any) -> None:
    with pytest.raises(OptionError, match=f"^filters: found {filters}, expected a whole number of at least 1"):
        LogMel(filters=filters)


def test_lengths_may_be_a_list() -> None:
    listed, given = LogMel()(SOUND, [9000, 800, 0, 20_000]), LogMel()(SOUND, torch.tensor([9000, 800, 0, 20_000]))
    assert all(map(torch.equal, listed, given))


@pytest.mark.parametrize(("samples", "frames"), [(800, 6), (0, 0)])
def test_a_batch_without_rows_has_no_features(samples: int, frames: int) -> None:
    features, lengths = LogMel()(torch.zeros(0, samples))
    assert features.shape == (0, frames, 80)
    assert features.dtype == torch.float32
    assert lengths.tolist() == []
