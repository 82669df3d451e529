"""Augmentation of features from files: at another tempo, and as of another speaker."""

from __future__ import annotations

import numpy as np
import pytest

from seqloss.data.feature_augment import TEMPOS, draw_tempo, map_linearly, stretch


def ramp(frames: int) -> np.ndarray:
    return np.stack([np.arange(frames), 3 - 2.0 * np.arange(frames)], 1).astype(np.float32)


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.0, 1.3, 2.0])
@pytest.mark.parametrize("frames", [2, 40, 41])
def test_a_straight_line_stays_one_with_as_many_frames_as_the_speed_says(frames: int, speed: float) -> None:
    found = stretch(ramp(frames), speed)
    assert found.shape == (round(frames / speed), 2)
    assert found.dtype == np.float32
    places = np.clip((np.arange(len(found)) + 0.5) * frames / len(found) - 0.5, 0, frames - 1)
    np.testing.assert_allclose(found, np.stack([places, 3 - 2 * places], 1), atol=1e-4)


def test_speed_1_changes_nothing() -> None:
    features = np.random.default_rng(0).standard_normal((33, 13)).astype(np.float32)
    np.testing.assert_array_equal(stretch(features, 1.0), features)


@pytest.mark.parametrize("speed", [0.4, 1.0, 3.0])
def test_one_frame_stays_that_frame(speed: float) -> None:
    assert np.unique(stretch(ramp(1), speed)).tolist() == [0, 3]


def test_tempos_fill_their_range_evenly_in_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    found = np.log([draw_tempo(rng) for _ in range(4000)])
    low, high = np.log(TEMPOS)
    assert low <= found.min() < low + 0.01
    assert high - 0.01 < found.max() <= high
    np.testing.assert_allclose(
        np.quantile(found, [0.25, 0.5, 0.75]), low + (high - low) * np.array([1, 2, 3]) / 4, atol=0.02
    )


def test_a_linear_map_keeps_mean_and_adds_the_spread_of_each_feature() -> None:
    rng = np.random.default_rng(1)
    scale = np.array([1, 10, 0.1], np.float32)
    features = (5 + rng.standard_normal((4000, 3)) * scale).astype(np.float32)
    added = np.array([(map_linearly(features, np.random.default_rng(n), 0.3) - features) / scale for n in range(300)])
    np.testing.assert_allclose(added.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.square(added).mean((0, 1))), 0.3, rtol=0.1)


def test_the_same_generator_gives_the_same_map_and_another_one_another() -> None:
    features = np.random.default_rng(2).standard_normal((20, 13)).astype(np.float32)
    first, again, other = (map_linearly(features, np.random.default_rng(seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_a_constant_feature_stays_finite() -> None:
    assert np.isfinite(map_linearly(np.zeros((5, 4), np.float32), np.random.default_rng(0))).all()
