"""The stripes of SpecAugment: how many, how wide, where, and what they change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss.data.spec_augment import Masks, SpecAugment
from seqloss.errors import OptionError


def draws(augment: SpecAugment, frames: int = 300, features: int = 80, count: int = 2000) -> list[Masks]:
    return [augment.draw(frames, features, np.random.default_rng([0, 0, index])) for index in range(count)]


def widths(stripes: tuple[tuple[int, int], ...]) -> list[int]:
    return [stop - start for start, stop in stripes]


def test_widths_reach_the_widest_and_no_further() -> None:
    found = draws(SpecAugment(time_width=30, frequency_width=15))
    for axis, widest in (("time", 30), ("frequency", 15)):
        seen = {width for masks in found for width in widths(getattr(masks, axis))}
        assert seen == set(range(widest + 1))


def test_stripes_lie_anywhere_within_the_utterance() -> None:
    found = draws(SpecAugment(time_width=30), frames=40)
    starts = {start for masks in found for start, _ in masks.time}
    stops = {stop for masks in found for _, stop in masks.time}
    assert (min(starts), max(stops)) == (0, 40)


@pytest.mark.parametrize("frames", [0, 1, 4, 5, 30, 97])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_no_more_than_the_share_of_the_frames_is_masked(frames: int, share: float) -> None:
    masked = []
    for masks in draws(SpecAugment(time_masks=4, time_share=share), frames, count=500):
        features = np.ones((frames, 80))
        Masks(masks.time, ()).fill(features)
        masked.append(int((features == 0).all(1).sum()))
        assert sum(widths(masks.time)) <= share * frames
    assert max(masked) <= share * frames
    assert max(masked) == int(share * frames) or share == 1.0


def test_the_widest_stripe_of_frequency_is_27_of_80_unless_it_is_given() -> None:
    for features, widest in ((80, 27), (13, 4), (1, 0)):
        found = draws(SpecAugment(), features=features, count=500)
        assert max(width for masks in found for width in widths(masks.frequency)) == widest


def test_stripes_are_filled_and_nothing_else_is() -> None:
    features = np.arange(1.0, 41).reshape(8, 5)
    masked = Masks(time=((2, 4),), frequency=((0, 1), (3, 3))).apply(features, -1.0)
    expected = features.copy()
    expected[2:4] = -1
    expected[:, 0] = -1
    np.testing.assert_array_equal(masked, expected)
    assert features.min() == 1


def test_a_row_of_a_batch_of_tensors_is_filled_in_place() -> None:
    batch = torch.ones(2, 8, 5)
    Masks(time=((2, 4),), frequency=((4, 5),)).fill(batch[1, :6])
    assert batch[0].sum() == 40
    assert batch[1].sum() == 8 * 5 - 2 * 5 - 4
    assert batch[1, 6:].sum() == 10


def test_there_are_as_many_stripes_as_requested() -> None:
    masks = SpecAugment(frequency_masks=3, time_masks=0).draw(100, 80, np.random.default_rng(0))
    assert (len(masks.frequency), len(masks.time)) == (3, 0)


@pytest.mark.parametrize("options", [{"time_masks": -1}, {"time_share": 1.1}, {"frequency_width": -2}])
def test_options_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=r"expected numbers and widths of at least 0, and a time_share of 0 to 1$"):
        SpecAugment(**options)
