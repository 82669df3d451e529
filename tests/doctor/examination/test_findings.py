"""What `examine` takes and returns."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from seqloss.doctor import Findings, examine
from seqloss.errors import DTypeError, OptionError

from .models import BATCHES, Batch, Reader, loss


def test_an_error_of_the_loss_is_the_callers() -> None:
    def broken(model: nn.Module, batch: Batch) -> Tensor:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        examine(Reader(), BATCHES, broken)
    with pytest.raises(TypeError, match=r"loss: found shape \(5,\), expected a tensor with one number"):
        examine(Reader(), BATCHES, lambda model, batch: model(batch.features, batch.lengths)[0].sum((1, 2)))


def test_mistakes_are_named() -> None:
    with pytest.raises(DTypeError, match=r"model: .*function"):
        examine(loss, BATCHES, loss)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="batches: found none"):
        examine(Reader(), iter(()), loss)


def test_what_cannot_be_checked_says_why() -> None:
    model = nn.Linear(3, 2)
    found = examine(model, [torch.randn(1, 3)], lambda model, batch: model(batch).square().mean())
    assert found.not_checked["rows"] == "the first batch has one row"
    assert found.not_checked["schedule"] == "scheduler, optimizer and steps are needed"


def test_time_is_limited() -> None:
    found = examine(Reader(), BATCHES, loss, seconds=0.0)
    assert found.checked == ()
    assert set(found.not_checked.values()) == {"0 seconds were over"}


def with_a_layer_too_many() -> Reader:
    model = Reader()
    model.forgotten = nn.Linear(3, 3)
    return model


def test_findings_are_text_json_and_a_table() -> None:
    found: Findings = examine(with_a_layer_too_many(), BATCHES, loss)
    assert str(found).startswith("error: weights-unused: the loss does not depend on these weights")
    read = json.loads(found.to_json())
    assert read["findings"][0]["evidence"]["weights"] == ["forgotten.weight", "forgotten.bias"]
    assert found.table().row_count == 1
    assert found.exit_code == 1


def loader() -> Iterator[Batch]:
    yield from BATCHES
    raise AssertionError("a third batch was not asked for")


def test_no_more_batches_are_drawn_than_asked_for() -> None:
    assert not examine(Reader(), loader(), loss, scan=2)
    assert not examine(Reader(), loader(), loss, scan=0)  # the other laws need two


def test_laws_that_lack_the_same_thing_share_a_line() -> None:
    lines = str(examine(Reader(), BATCHES, loss)).splitlines()
    assert "not checked: round trip, second process, loaded texts: a vocabulary is needed" in lines
