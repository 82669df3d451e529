"""What `examine` takes and returns."""

from __future__ import annotations

import html
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace

import markdown
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from seqloss.doctor import Finding, Findings, examine
from seqloss.errors import DTypeError, OptionError, ShapeError

from .models import BATCHES, Batch, Reader, loss


def test_an_error_of_the_loss_is_the_callers() -> None:
    def broken(model: nn.Module, batch: Batch) -> Tensor:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        examine(Reader(), BATCHES, broken)
    with pytest.raises(TypeError, match=r"loss: found shape \(5,\), expected a tensor with one number"):
        examine(Reader(), BATCHES, lambda model, batch: model(batch.features, batch.lengths)[0].sum((1, 2)))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            torch.zeros(8, 1),
            ShapeError,
            r"loss: found shape \(8, 1\), expected a tensor with one number; return the mean",
        ),
        ((), ShapeError, "loss: found an empty tuple, expected one that begins with the loss"),
        ({}, ShapeError, "loss: found an empty dict, expected one that begins with the loss"),
        (3.0, DTypeError, r"loss: expected a tensor with one number, found float; return it without \.item\(\)"),
        (None, DTypeError, "loss: expected a tensor with one number, found NoneType; look for a missing `return`"),
    ],
)
def test_what_is_no_loss_is_an_error_of_seqloss_and_a_type_error(
    value: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        examine(Reader(), BATCHES, lambda model, batch: value)
    assert isinstance(caught.value, TypeError)


def test_mistakes_are_named() -> None:
    with pytest.raises(
        DTypeError, match=r"model: .*function; give the network itself: examine\(model, batches, loss\)"
    ):
        examine(loss, BATCHES, loss)  # type: ignore[arg-type]
    with pytest.raises(
        DTypeError, match=r"optimizer: expected a torch\.optim\.Optimizer, found int; give the optimiser"
    ):
        examine(Reader(), BATCHES, loss, optimizer=3)  # type: ignore[arg-type]
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


AWKWARD = Finding(
    "row-depends-on-batch", "warning",
    {"weights": ["layers[mask].weight_hh", "[/red]"], "relative difference": math.inf, "rows": (1, 2)},
    "padding *or* <b>rows</b> reach | it", "Mask it", 'print("```")\n',
)  # fmt: skip


def test_a_table_shows_names_with_brackets_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(Findings((AWKWARD,)).table())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "weights: layers[mask].weight_hh, [/red]" in shown
    assert "padding *or* <b>rows</b> reach | it." in shown


def test_json_is_strict_and_can_be_read_back() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not in JSON's standard")

    found = Findings((AWKWARD,), ("ledger",), {"rows": "one row"})
    read = json.loads(found.to_json(), parse_constant=refuse)
    assert read["findings"][0]["evidence"]["relative difference"] == "inf"
    back = Findings.from_json(found.to_json())
    assert str(back) == str(found)
    assert (back.checked, back.not_checked) == (found.checked, found.not_checked)
    assert Findings.from_json(back.to_json()) == back


@pytest.mark.parametrize("text", ["", "1", "{}", '{"findings": [{"name": "a"}], "checked": [], "not_checked": {}}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expect|Expect"):
        Findings.from_json(text)
    with pytest.raises(ValueError, match="unknown severity"):
        Findings.from_json(Findings((AWKWARD,)).to_json().replace('"warning"', '"fatal"'))


def test_findings_are_joined_once_and_errors_come_first() -> None:
    error = replace(AWKWARD, name="other", severity="error")
    first = Findings((AWKWARD,), ("ledger",), {"rows": "one row", "loss": "30 seconds were over"})
    both = first.joined(Findings((error, AWKWARD), ("ledger", "rows")))
    assert both.names == ["other", "row-depends-on-batch"]
    assert both.checked == ("ledger", "rows")
    assert both.not_checked == {"loss": "30 seconds were over"}


def test_markdown_shows_texts_as_they_are() -> None:
    """By the rules of TensorBoard, whose texts are read by Python-Markdown."""
    written = Findings((AWKWARD,), ("ledger",), {"rows": "IndexError: [32, 30]"}).to_markdown()
    shown = markdown.markdown(written, extensions=["markdown.extensions.tables", "markdown.extensions.fenced_code"])
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", shown)).split())
    assert text == (
        "warning: row-depends-on-batch Padding *or* <b>rows</b> reach | it. weights: layers[mask].weight_hh, [/red] "
        'relative difference: inf rows: 1, 2 What to do: Mask it. print("```") Laws that were checked: ledger. '
        "not checked: rows: IndexError: [32, 30]"
    )
    assert Findings((), ("ledger",)).to_markdown() == "Nothing found.\n\nLaws that were checked: ledger.\n"


def test_tensorboard_gets_the_markdown() -> None:
    calls: list[tuple[str, str, int]] = []

    class Writer:
        def add_text(self, name: str, text: str, step: int) -> None:
            calls.append((name, text, step))

    found = Findings((AWKWARD,))
    found.to_tensorboard(Writer(), 7)
    assert calls == [("findings", found.to_markdown(), 7)]


def loader() -> Iterator[Batch]:
    yield from BATCHES
    raise AssertionError("a third batch was not asked for")


def test_no_more_batches_are_drawn_than_asked_for() -> None:
    assert not examine(Reader(), loader(), loss, scan=2)
    assert not examine(Reader(), loader(), loss, scan=0)  # the other laws need two


def test_laws_that_lack_the_same_thing_share_a_line() -> None:
    lines = str(examine(Reader(), BATCHES, loss)).splitlines()
    assert "not checked: round trip, loaded texts, second process: a vocabulary is needed" in lines
