"""Lines of text: what augmentation keeps, and how lines are stacked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqloss.data import Vocabulary
from seqloss.data.vocabulary import frames_needed
from seqloss.recipes.ocr.data import STRIDE, Synthetic, augment, frames_of, stack_lines
from seqloss.recipes.ocr.network import Network
from seqloss.torch import ctc_loss


@pytest.mark.parametrize(("text", "frames"), [("", 0), ("a", 1), ("ab", 2), ("aab", 4), ("aaa", 5)])
def test_a_repeated_character_needs_a_frame_more(text: str, frames: int) -> None:
    assert frames_needed(text) == frames


@pytest.mark.parametrize("needed", [1, 9, 30])
def test_a_augmented_line_keeps_the_frames_that_its_text_needs(needed: int) -> None:
    line = np.full((16, STRIDE * needed), 255, np.uint8)
    frames = [frames_of(augment(line, needed, np.random.default_rng(seed)).shape[1]) for seed in range(100)]
    assert min(frames) >= needed


def test_a_augmented_line_keeps_its_height_and_follows_from_its_seed() -> None:
    line = np.random.default_rng(0).integers(0, 256, (32, 90), np.uint8)
    one, same, other = (augment(line, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape[0] == 32
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("height", [16, 32, 48])
def test_a_synthetic_word_has_the_frames_that_it_needs(height: int) -> None:
    source = Synthetic("train", 300, 0, height)
    items = [source.item(0, index) for index in range(300)]
    assert all(frames_of(line.shape[1]) >= frames_needed(text) for line, text in items)


def test_the_loss_of_a_feasible_row_is_finite_after_any_augmentation() -> None:
    text = "aabbab" * 2
    vocabulary = Vocabulary.from_texts([text])
    line = np.random.default_rng(0).integers(0, 256, (16, STRIDE * frames_needed(text)), np.uint8)
    lines = [augment(line, frames_needed(text), np.random.default_rng(seed)) for seed in range(40)]
    torch.manual_seed(0)
    with torch.no_grad():
        logits, frames = Network(len(vocabulary), 16).eval()(*stack_lines(lines))
    losses = ctc_loss(logits, torch.tensor([vocabulary.encode(text)] * len(lines)), frames)
    assert torch.isfinite(losses).all()


def test_stacked_lines_are_standardised_and_padded_with_zero() -> None:
    short, long = np.full((16, 3), 7, np.uint8), np.arange(16 * 5, dtype=np.uint8).reshape(16, 5)
    images, widths = stack_lines([short, long])
    assert images.shape == (2, 1, 16, 5)
    assert widths.tolist() == [3, 5]
    assert (images[0] == 0).all()  # one grey has no deviation
    assert abs(images[1].mean()) < 1e-6
    assert abs(images[1].std(unbiased=False) - 1) < 1e-6


def test_ink_is_above_zero_in_a_stacked_line() -> None:
    line = np.full((16, 8), 255, np.uint8)
    line[3, 3] = 0
    assert stack_lines([line])[0].argmax() == 3 * 8 + 3
