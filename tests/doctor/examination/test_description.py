"""The findings say how each part of the first batch was read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from seqloss.doctor import Findings, examine
from seqloss.doctor.batches.description import describe_parts

LENGTHS = torch.tensor([9, 7, 7, 5])
MASK = torch.arange(9) < LENGTHS[:, None]
INPUTS = torch.randn(4, 9, 3) * MASK[..., None]
LABELS = torch.tensor([2, 1, 2, 2])

READ: dict[str, tuple[Any, dict[str, str]]] = {
    "rows first": (
        (INPUTS, LENGTHS, LABELS),
        {
            "0": "float32 (4, 9, 3): rows on axis 0, padded on axis 1 to the lengths in 1",
            "1": "int64 (4,): lengths of rows",
            "2": "int64 (4,): a row each",
        },
    ),
    "time first, with a mask": (
        {"x": INPUTS.transpose(0, 1), "mask": MASK, "labels": LABELS},
        {
            "x": "float32 (9, 4, 3): rows on axis 1, padded on axis 0 to the lengths in mask",
            "mask": "bool (4, 9): rows on axis 0, a mask of lengths",
        },
    ),
    "concatenated labels": (
        (INPUTS, LENGTHS, torch.ones(7, dtype=torch.long), LABELS),
        {"2": "int64 (7,): rows one after the other, of the lengths in 3", "3": "int64 (4,): lengths of rows"},
    ),
    "a token more": (
        (INPUTS, LENGTHS, torch.ones(4, 10, dtype=torch.long)),
        {"2": "int64 (4, 10): rows on axis 0, padded on axis 1 to the lengths in 1 and one step more"},
    ),
    "packed rows and texts": (
        (pack_padded_sequence(INPUTS, LENGTHS, batch_first=True), ["a", "b", "c", "d"], torch.tensor(0.5)),
        {"0": "packed rows: a row each", "1": "list: a row each", "2": "float32 (): the same for all rows"},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_each_part_is_described(name: str) -> None:
    batch, expected = READ[name]
    assert describe_parts(batch).items() >= expected.items()


def test_a_batch_without_rows_says_why_it_is_not_read() -> None:
    (found,) = describe_parts(torch.tensor(1.0)).values()
    assert found.startswith("float32 (): not read: ")


def test_an_examination_prints_it_and_keeps_it() -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        inputs, _, targets = batch
        return nn.functional.cross_entropy(model(inputs).sum(1), targets)

    findings = examine(nn.Linear(3, 4), [(INPUTS, LENGTHS, LABELS)] * 2, loss)
    assert findings.batch == READ["rows first"][1]
    assert "batch, read as: 1: int64 (4,): lengths of rows" in str(findings)
    assert "* batch, read as: 1: int64 (4,): lengths of rows" in findings.to_markdown()
    assert Findings.from_json(findings.to_json()).batch == findings.batch
