"""The metrics of text recognition."""

from __future__ import annotations

import pytest

from seqloss.recipes.recognition.texts import normalised_distance


@pytest.mark.parametrize(
    ("read", "truth", "distance"), [("", "", 0), ("a", "", 1), ("ab", "ab", 0), ("xb", "abcd", 0.75)]
)
def test_the_distance_is_edits_over_the_length_of_the_truth(read: str, truth: str, distance: float) -> None:
    assert normalised_distance(read, truth) == distance
