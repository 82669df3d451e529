"""Padding that only its token tells, and labels of every second frame."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import examine
from seqloss.doctor.batches.trailing_tokens import find_padding_tokens, find_trailing
from seqloss.doctor.laws.comparing import HALF_ROUNDING, ROUNDING, tolerance
from seqloss.doctor.subject import Subject

PAD, SIZES = 0, [6, 6, 6, 6, 6, 5, 6, 6, 6, 4, 6, 6]


def make_tokens(number: int) -> Tensor:
    """Few rows are shorter, so that one batch does not tell padding from the end of a text."""
    tokens = torch.randint(1, 9, (len(SIZES), 6), generator=torch.Generator().manual_seed(number))
    for row, size in enumerate(SIZES):
        tokens[row, size:] = PAD
    return tokens


class Reader(nn.Module):
    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head = nn.Embedding(9, 8), nn.Linear(8, 3)
        self.masked = masked

    def forward(self, tokens: Tensor) -> Tensor:
        used = (tokens != PAD).float()[..., None] if self.masked else torch.ones(*tokens.shape, 1)
        return self.head((self.table(tokens) * used).sum(1) / used.sum(1))


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


@pytest.mark.parametrize("masked", [True, False])
def test_padding_that_reaches_a_row_is_named_when_few_rows_have_it(masked: bool) -> None:
    batches = [(make_tokens(number), torch.arange(len(SIZES)) % 3) for number in range(8)]
    found = examine(Reader(masked=masked), batches, loss)
    assert "token padding" in found.checked
    assert ("padding-reaches-rows" in found.names) == (not masked)


def test_padding_is_told_by_many_batches_where_one_is_not_enough() -> None:
    batches = [make_tokens(number) for number in range(8)]
    assert find_trailing(batches[0]) is None
    assert find_padding_tokens(batches) == {PAD}
    assert find_trailing(batches[0], {PAD}) is not None
    inside = [tokens.clone() for tokens in batches]
    inside[3][0, 1] = PAD
    assert find_padding_tokens(inside) == set()


class Beats(nn.Module):
    """(batch, channels, time) to a score for each second frame."""

    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv1d(4, 8, 5, stride=2, padding=2)
        self.second = nn.Conv1d(8, 1, 3, padding=1)
        self.masked = masked

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        y = self.first(x).relu()
        used = (torch.arange(y.shape[2]) < (lengths[:, None] + 1) // 2).float()
        return self.second(y * used[:, None] if self.masked else y)[:, 0], used


def mark(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    scores, used = model(batch["x"], batch["lengths"])
    each = nn.functional.binary_cross_entropy_with_logits(scores, batch["beats"], reduction="none")
    return (each * used).sum() / used.sum()


@pytest.mark.parametrize("masked", [True, False])
def test_labels_of_every_second_frame_are_cut_with_their_row(masked: bool) -> None:
    lengths = torch.tensor([21, 14, 9, 17, 11])
    used = torch.arange(21) < lengths[:, None]
    labels = (torch.arange(11) < (lengths[:, None] + 1) // 2) & (torch.arange(11) % 3 == 0)
    x = torch.randn(5, 4, 21, generator=torch.Generator().manual_seed(0)) * used[:, None]
    found = examine(Beats(masked=masked), [{"x": x, "lengths": lengths, "beats": labels.float()}], mark)
    assert {"rows", "padding"} <= set(found.checked)
    assert bool(found.names) == (not masked)


def test_rounding_is_that_of_layers_in_half_precision_also_where_outputs_are_in_float32() -> None:
    class Cast(Reader):
        def forward(self, tokens: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return super().forward(tokens).float()

    batch = (make_tokens(0), torch.arange(len(SIZES)) % 3)
    for model, wanted in ((Cast(masked=True), HALF_ROUNDING), (Reader(masked=True), ROUNDING)):
        outputs = Subject(model, [batch], loss).call(batch).outputs
        assert outputs["output"].dtype == torch.float32
        assert tolerance(outputs) == wanted
