"""Synthetic recordings are the same bits in any process and order."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from seqloss.data.spoken_digits import RATE, WORDS, SpokenDigits

if find_spec("ttspico") is None:  # importing it here would bind its functions to TensorFlow's of the same names
    pytest.skip("the synthesiser is not installed", allow_module_level=True)


def test_an_item_is_the_same_in_any_order() -> None:
    source = SpokenDigits("train", 20, seed=3)
    first = [source.item(0, index) for index in range(5)]
    again = [SpokenDigits("train", 20, seed=3).item(0, index) for index in reversed(range(5))][::-1]
    for (a, text_a), (b, text_b) in zip(first, again, strict=True):
        assert text_a == text_b
        np.testing.assert_array_equal(a, b)


def test_training_items_differ_between_epochs_and_held_out_ones_do_not() -> None:
    assert SpokenDigits("train", 5, 0).text(0, 1) != SpokenDigits("train", 5, 0).text(1, 1)
    assert SpokenDigits("test", 5, 0).text(0, 1) == SpokenDigits("test", 5, 0).text(1, 1)


def test_splits_differ() -> None:
    texts = {split: [SpokenDigits(split, 50, 0).text(0, n) for n in range(50)] for split in ("train", "test")}
    assert texts["train"] != texts["test"]


def test_recordings_are_as_long_as_speech_and_within_full_scale() -> None:
    for index in range(10):
        samples, text = SpokenDigits("train", 10, 0).item(0, index)
        words = text.split()
        assert set(words) <= set(WORDS)
        assert 0.15 < len(samples) / RATE / len(words) < 1.5
        assert 0.19 < np.abs(samples).max() < 0.91


@pytest.mark.long
def test_it_speaks_in_a_process_that_has_imported_tensorflow() -> None:
    """Their libraries have functions of the same names."""
    pytest.importorskip("tensorflow")
    script = """
import tensorflow
from seqloss.data.spoken_digits import SpokenDigits
print(len(SpokenDigits("test", 1, 0).item(0, 0)[0]))
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-500:]
    assert int(found.stdout) > 8000
