"""Labels that give no pairs: the error says what is missing."""

from __future__ import annotations

import pytest

from seqloss.errors import DataError
from seqloss.recipes.embedding.items import refuse_without_pairs


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        ([7, 7, 7], "add train words of another label"),
        ([7], "add train words of another label"),
        ([7, 8, 9], "add a second one of a label, among the train words"),
    ],
)
def test_advice_is_what_is_missing(labels: list[int], advice: str) -> None:
    with pytest.raises(DataError, match=advice):
        refuse_without_pairs(labels, "train words")


def test_two_labels_one_of_them_twice_will_do() -> None:
    refuse_without_pairs([7, 8, 8], "train words")
