"""Sources of items with texts, and which of the texts fit their frames."""

from __future__ import annotations

from collections.abc import Sequence

from seqloss.data.vocabulary import frames_needed
from seqloss.doctor.sanity_checks import describe_feasibility
from seqloss.errors import BadRow
from seqloss.training.batches import Source


class TextSource(Source):
    """Items that are pairs of an input and its text."""

    def texts_and_lengths(self) -> Sequence[tuple[str, int]]:
        """(text, input length) of each item, where they are known without reading the inputs; else nothing.

        The texts are in the order in which the inputs show them.
        """
        return ()


def describe_short_rows(
    rows: Sequence[tuple[Sequence[str], int]], bad: Sequence[BadRow], stride: int, steps: str = "pixels"
) -> str:
    """How many texts need more frames than their inputs give, and at which subsampling they would fit; "" for none.

    Args:
        rows: (symbols of the text, input length) of each valid row.
        bad: the invalid rows.
        stride: input steps per frame.
        steps: what the input's steps are called.
    """
    short = [row.short for row in bad if row.short]
    needed = [(length, frames_needed(text)) for text, length in rows]
    return describe_feasibility([*needed, *short], stride, steps) if short else ""
