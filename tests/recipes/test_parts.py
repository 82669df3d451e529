"""The recipe's parts: settings, pictures, batches, network, measures."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqloss.data import Vocabulary
from seqloss.data.vocabulary import frames_needed
from seqloss.errors import OptionError, RunError
from seqloss.recipes import ocr
from seqloss.recipes.checkpoints import refuse_other_weights
from seqloss.recipes.lines import STRIDE, Batches, Painted, frames_of, stack, vary
from seqloss.recipes.progress import EpochLines
from seqloss.torch import ctc_loss


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"optimizer": "adamm"}, "--optimizer: found 'adamm', expected one of adamw, adam, sgd"),
        ({"height": 24}, "--height: found 24, expected a multiple of 16"),
        ({"height": 0}, "--height: found 0"),
        ({"height": 1024}, "--height: found 1024, expected a multiple of 16 from 16 to 512"),
        ({"epochs": 0}, "--epochs: found 0, expected at least 1"),
        ({"batch": 0}, "--batch: found 0"),
        ({"patience": 0}, "--patience: found 0"),
        ({"painted": -1}, "--painted: found -1"),
        ({"lr": 0.0}, "--lr: found 0.0, expected a positive number"),
        ({"lr": math.nan}, "--lr: found nan"),
        ({"lr": math.inf}, "--lr: found inf"),
        ({"seed": -1}, "--seed: found -1, expected 0 to 4294967295"),
        ({"seed": 2**32}, "--seed: found 4294967296"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_could(options: dict, told: str) -> None:
    with pytest.raises(OptionError) as refused:
        ocr.Settings(**options)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(("text", "frames"), [("", 0), ("a", 1), ("ab", 2), ("aab", 4), ("aaa", 5)])
def test_a_repeated_character_needs_a_frame_more(text: str, frames: int) -> None:
    assert frames_needed(text) == frames


# --- pictures


@pytest.mark.parametrize("needed", [1, 9, 30])
def test_a_varied_line_keeps_the_frames_that_its_text_needs(needed: int) -> None:
    line = np.full((16, STRIDE * needed), 255, np.uint8)
    frames = [frames_of(vary(line, needed, np.random.default_rng(seed)).shape[1]) for seed in range(100)]
    assert min(frames) >= needed


def test_a_varied_line_keeps_its_height_and_follows_from_its_seed() -> None:
    line = np.random.default_rng(0).integers(0, 256, (32, 90), np.uint8)
    one, same, other = (vary(line, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape[0] == 32
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("height", [16, 32, 48])
def test_a_painted_word_has_the_frames_that_it_needs(height: int) -> None:
    source = Painted("train", 300, 0, height)
    items = [source.item(0, index) for index in range(300)]
    assert all(frames_of(line.shape[1]) >= frames_needed(text) for line, text in items)


def test_the_loss_of_a_row_that_fits_is_finite_however_it_is_varied() -> None:
    text = "aabbab" * 2
    vocabulary = Vocabulary.from_texts([text])
    line = np.random.default_rng(0).integers(0, 256, (16, STRIDE * frames_needed(text)), np.uint8)
    lines = [vary(line, frames_needed(text), np.random.default_rng(seed)) for seed in range(40)]
    torch.manual_seed(0)
    with torch.no_grad():
        logits, frames = ocr.Network(len(vocabulary), 16).eval()(*stack(lines))
    losses = ctc_loss(logits, torch.tensor([vocabulary.encode(text)] * len(lines)), frames)
    assert torch.isfinite(losses).all()


def test_stacked_lines_are_standardised_and_padded_with_zero() -> None:
    short, long = np.full((16, 3), 7, np.uint8), np.arange(16 * 5, dtype=np.uint8).reshape(16, 5)
    pictures, widths = stack([short, long])
    assert pictures.shape == (2, 1, 16, 5)
    assert widths.tolist() == [3, 5]
    assert (pictures[0] == 0).all()  # one grey has no deviation
    assert abs(pictures[1].mean()) < 1e-6
    assert abs(pictures[1].std(unbiased=False) - 1) < 1e-6


def test_ink_is_above_zero_in_a_stacked_line() -> None:
    line = np.full((16, 8), 255, np.uint8)
    line[3, 3] = 0
    assert stack([line])[0].argmax() == 3 * 8 + 3


# --- batches


class Widths:
    """A source of so many items of uneven width."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def width(self, epoch: int, index: int) -> int:
        return index * 7919 % 101


def batches(count: int, epoch: int = 0, **options: int | None) -> list[list[tuple[int, int]]]:
    order = Batches(Widths(count), **{"batch": 4, "seed": 0, **options})
    order.set_epoch(epoch)
    found = list(order)
    assert len(found) == len(order)
    return found


@pytest.mark.parametrize("count", [1, 4, 7, 64, 203])
@pytest.mark.parametrize("seed", [0, 5, None])
def test_an_epoch_has_each_item_once(count: int, seed: int | None) -> None:
    keys = [key for batch in batches(count, 3, seed=seed) for key in batch]
    assert sorted(keys) == [(3, index) for index in range(count)]


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    order = Batches(Widths(100), 4, 0)
    for epoch in (0, 1, 2):
        order.set_epoch(epoch)
        list(order)
    assert list(order) == batches(100, 2)


def test_each_seed_and_each_epoch_has_its_own_order() -> None:
    orders = [
        [[index for _, index in batch] for batch in batches(100, epoch, seed=seed)]
        for epoch in (0, 1)
        for seed in (0, 1)
    ]
    assert all(one != other for place, one in enumerate(orders) for other in orders[:place])


def test_lines_of_a_batch_have_like_widths() -> None:
    def spread(found: list) -> float:
        return np.mean([np.ptp([Widths(200).width(*key) for key in batch]) for batch in found])

    shuffled = np.random.default_rng(0).permutation(200).reshape(-1, 4)
    assert spread(batches(200)) < spread([[(0, index) for index in batch] for batch in shuffled]) / 4


@pytest.mark.parametrize(("count", "world"), [(64, 2), (60, 2), (61, 3), (8, 4)])
def test_processes_share_an_epoch_evenly(count: int, world: int) -> None:
    shares = [batches(count, rank=rank, world=world) for rank in range(world)]
    keys = [key for share in shares for batch in share for key in batch]
    assert len({len(share) for share in shares}) == 1
    assert set(keys) == {(0, index) for index in range(count)}
    assert len(keys) - count <= 4 * (-math.ceil(count / 4) % world)  # only what evens them out is seen twice


# --- the network


@pytest.fixture(scope="module")
def network() -> ocr.Network:
    torch.manual_seed(0)
    return ocr.Network(5, 32).eval()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 30, 63])
def test_a_line_reads_the_same_alone_and_in_a_padded_batch(network: ocr.Network, width: int) -> None:
    rng = np.random.default_rng(width)
    line, longer = (rng.integers(0, 256, (32, w), np.uint8) for w in (width, 97))
    with torch.no_grad():
        alone, frames = network(*stack([line]))
        together, counts = network(*stack([longer, line]))
    assert counts.tolist() == [frames_of(97), frames.item()]
    assert torch.allclose(together[1, : frames.item()], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", range(1, 20))
def test_frames_are_those_that_the_check_counts_on(network: ocr.Network, width: int) -> None:
    with torch.no_grad():
        logits, frames = network(*stack([np.zeros((32, width), np.uint8)]))
    assert logits.shape[1] == frames.item() == frames_of(width)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(RunError, match="weights are not those of this network"):
        refuse_other_weights(ocr.Network(5, 16), ocr.Network(6, 16).state_dict())


# --- measures and schedule


@pytest.mark.parametrize(
    ("read", "truth", "distance"), [("", "", 0), ("a", "", 1), ("ab", "ab", 0), ("xb", "abcd", 0.75)]
)
def test_the_distance_is_edits_over_the_length_of_the_truth(read: str, truth: str, distance: float) -> None:
    assert ocr.normalised_distance(read, truth) == distance


def test_the_rate_rises_for_a_tenth_and_falls_to_a_hundredth() -> None:
    factors = [ocr.warm_then_cosine(step, 100) for step in range(101)]
    assert factors.index(1.0) == 9
    assert sorted(factors[:10]) == factors[:10]
    assert sorted(factors[10:], reverse=True) == factors[10:]
    assert factors[100] == pytest.approx(0.01)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    trainer = SimpleNamespace(
        is_global_zero=True, current_epoch=0, max_epochs=1, callback_metrics={"loss_epoch": torch.tensor(math.nan)}
    )
    with pytest.raises(RunError, match="no longer a number: give a lower --lr"):
        EpochLines(lambda line: None).on_train_epoch_end(trainer, SimpleNamespace(shown=[]))
