"""Another speed of a sound, and that augmentation follows from (seed, epoch, index)."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from seqloss.data.sounds import SPEEDS, change_speed, draw_speed, samples_after_speed
from seqloss.data.spec_augment import SpecAugment

from .sounds import RATE, tone


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.25])
def test_speed_changes_length_and_pitch_together(speed: float) -> None:
    fast = change_speed(tone(1.0, RATE, 400.0), speed)
    assert fast.dtype == np.float32
    assert abs(len(fast) - RATE / speed) <= 1
    assert abs(len(fast) - samples_after_speed(RATE, speed)) <= 1
    np.testing.assert_allclose(fast[2000:10_000], tone(1.0, RATE, 400.0 * speed)[2000:10_000], atol=1e-3)


def test_speed_1_changes_no_bit() -> None:
    sound = tone()
    np.testing.assert_array_equal(change_speed(sound, 1.0), sound)


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_a_tiny_sound_has_a_speed_too(samples: int) -> None:
    assert abs(len(change_speed(tone()[:samples], 0.9)) - samples / 0.9) <= 1


def test_speeds_are_drawn_equally_often() -> None:
    found = Counter(draw_speed(np.random.default_rng([0, 0, index])) for index in range(3000))
    assert set(found) == set(SPEEDS)
    assert all(abs(count - 1000) < 4 * math.sqrt(3000 * 2 / 9) for count in found.values())


class Augmented(torch.utils.data.Dataset):
    """Sounds at random speeds and features with random stripes, by (epoch, index)."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([7, *key])
        sound = change_speed(tone(0.1, RATE, 300.0 + key[1]), draw_speed(rng))
        features = np.ones((60, 80), np.float32)
        return sound, SpecAugment().draw(60, 80, rng).apply(features)


def augment(keys: list[tuple[int, int]], workers: int) -> dict[tuple[int, int], bytes]:
    loader = torch.utils.data.DataLoader(Augmented(), batch_size=None, sampler=keys, num_workers=workers)
    return {key: b"".join(np.asarray(part).tobytes() for part in item) for key, item in zip(keys, loader, strict=True)}


def test_augmentation_has_the_same_bits_in_any_process_and_order() -> None:
    keys = [(epoch, index) for epoch in range(2) for index in range(6)]
    here = augment(keys, 0)
    assert augment(keys[::-1], 2) == here
    assert len(set(here.values())) == len(keys)
