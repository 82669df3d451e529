"""Texts that do not come back from their ids, and ids that are no classes, are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloss.data import Vocabulary
from seqloss.doctor import Findings, examine

from .models import BATCHES, Batch, Reader, loss
from .vocabularies import Hashed, Letters, Tokens, letters_of_a_set, sorted_letters

TEXTS = ["abe", "dab", "cede"]
VOCABULARY = Vocabulary.from_texts(TEXTS)


def found(vocabulary: Any, texts: Sequence[str] = TEXTS, **options: Any) -> Findings:
    return examine(Reader(), BATCHES, options.pop("loss", loss), vocabulary=vocabulary, texts=texts, **options)


def test_texts_that_come_back_have_no_finding() -> None:
    assert found(VOCABULARY).names == []
    assert {"round trip", "second process", "classes", "frames"} <= set(found(VOCABULARY).checked)


def lower(vocabulary: Letters) -> tuple[Callable[[str], list[int]], Callable[[Sequence[int]], str]]:
    return lambda text: vocabulary.encode(text.lower()), vocabulary.decode


@pytest.mark.parametrize(
    ("vocabulary", "texts", "name", "first"),
    [
        (lower(Letters("abcde")), ["abE"], "case-lost",
         "at character 2: 'E' (U+0045 LATIN CAPITAL LETTER E) comes back as 'e' (U+0065 LATIN SMALL LETTER E)"),
        (Letters("abba"), ["ab", "ba"], None, ""),
        ((Letters("abcde").encode, Letters("abdce").decode), ["abc"], "text-changed",
         "at character 2: 'c' (U+0063 LATIN SMALL LETTER C) comes back as 'd' (U+0064 LATIN SMALL LETTER D)"),
        ((Letters("å").encode, Letters(["a\u030a"]).decode), ["å"], "unicode-form-lost",
         "at character 0: 'å' (U+00E5 LATIN SMALL LETTER A WITH RING ABOVE) comes back as "
         "'a' (U+0061 LATIN SMALL LETTER A)"),
        ((Letters("a²").encode, Letters("a2").decode), ["a²"], "unicode-form-lost",
         "at character 1: '²' (U+00B2 SUPERSCRIPT TWO) comes back as '2' (U+0032 DIGIT TWO)"),
    ],
    ids=["case", "same", "exchanged", "NFD", "NFKC"],
)  # fmt: skip
def test_a_text_that_comes_back_changed_is_named(
    vocabulary: Any, texts: list[str], name: str | None, first: str
) -> None:
    findings = found(vocabulary, texts)
    assert findings.names == ([name] if name else [])
    if name:
        assert findings[0].evidence["first"] == first


def test_padding_that_is_decoded_as_text_is_named() -> None:
    letters = "abcde"

    def padded(rows: Sequence[Sequence[int]]) -> list[str]:
        longest = max(map(len, rows))
        return ["".join(letters[one] for one in [*row, *[0] * (longest - len(row))]) for row in rows]

    encode = letters.index
    pair = (lambda text: [encode(letter) for letter in text], lambda row: "".join(letters[one] for one in row))
    assert "text-changed" not in found(pair).names
    findings = found(pair, decode=padded)
    assert "text-changed" in findings.names
    assert findings[findings.names.index("text-changed")].evidence["first"].startswith("at character 3: the end comes")


def test_a_text_without_an_id_is_named() -> None:
    findings = found(Letters("abcd"))
    assert findings.names == ["text-not-encoded"]
    assert findings[0].evidence["text"] == "abe"


@pytest.mark.parametrize(
    ("texts", "found_as"),
    [
        (["ABE", "DAB"], [("unknown-symbols", "error")]),
        (["abe", "xyzab"], [("unknown-symbols", "warning")]),
        (["abe", "Dab", "abeabecabebabecabe"], [("unknown-symbols", "warning")]),
        (["abe", "dab", "abexabecabebabecabe"], []),  # a rare one
    ],
)
def test_unknown_symbols_are_named(texts: list[str], found_as: list[tuple[str, str]]) -> None:
    assert [(finding.name, finding.severity) for finding in found(VOCABULARY, texts)] == found_as


def test_ids_that_differ_in_a_second_process_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parent.parent
    for path in (folder, folder.parents[1]):  # pytest itself needs no path to this file
        monkeypatch.syspath_prepend(str(path))
    name = "vocabulary-differs-between-processes"
    healthy = found(sorted_letters)
    assert name not in healthy.names
    assert "second process" in healthy.checked
    assert name in found(letters_of_a_set).names
    assert name in found(Hashed("abcde")).names
    assert name in found(Vocabulary(list(set("abcdefghijk")))).names
    assert name not in found(Vocabulary("abcdefghijk")).names


def test_a_vocabulary_that_cannot_be_sent_says_why() -> None:
    vocabulary = Letters("abcde")
    vocabulary.file = (one for one in ())  # type: ignore[attr-defined]
    reason = found(vocabulary).not_checked["second process"]
    assert reason.startswith("the vocabulary cannot be sent to a second process (")


def with_blank(blank: int) -> Callable[[nn.Module, Batch], Tensor]:
    def with_torch(model: nn.Module, batch: Batch) -> Tensor:
        logits, lengths = model(batch.features, batch.lengths)
        log_probs = logits.log_softmax(2).transpose(0, 1)
        return nn.functional.ctc_loss(
            log_probs, batch.targets, lengths, batch.target_lengths, blank=blank, zero_infinity=True
        )

    return with_torch


def test_a_blank_that_is_a_character_is_named() -> None:
    assert found(VOCABULARY, loss=with_blank(0)).names == []
    findings = found(VOCABULARY, loss=with_blank(5))
    assert findings.names == ["blank-is-a-label"]
    assert findings[0].evidence["blank of the loss"] == 5
    assert examine(Reader(), BATCHES, with_blank(4)).names == ["blank-is-a-label"]  # of the labels alone


class WithAttention(Reader):
    """Returns a second tensor of three axes, which the loss does not read."""

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        logits, lengths = super().forward(x, lengths)
        return logits @ logits.transpose(1, 2), logits, lengths


def test_scores_are_found_beside_other_outputs() -> None:
    def of_second(model: nn.Module, batch: Batch) -> Tensor:
        _, *outputs = model(batch.features, batch.lengths)
        return with_blank(5)(lambda *_: outputs, batch)  # type: ignore[arg-type]

    assert "blank-is-a-label" in examine(WithAttention(), BATCHES, of_second, vocabulary=VOCABULARY).names


def test_a_head_smaller_than_the_vocabulary_is_named() -> None:
    findings = found(Vocabulary.from_texts([*TEXTS, "xyz"]))
    assert findings.names == ["head-too-small"]
    assert findings[0].evidence["classes of the model"] == 6
    assert findings[0].evidence["size of the vocabulary"] == 9


@pytest.mark.parametrize("axis", [1, 2])
def test_a_head_of_cross_entropy_is_measured_along_the_axis_of_classes(axis: int) -> None:
    model = nn.Linear(4, 6)
    batch = (torch.randn(5, 16, 4), torch.randint(0, 6, (5, 16)))

    def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]).movedim(-1, 1), batch[1])

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x).movedim(-1, axis)

    def turned(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]).movedim(axis, 1), batch[1])

    options: dict[str, Any] = {"texts": ["abc"]}
    assert "head-too-small" in examine(Turned(), [batch], turned, vocabulary=Vocabulary("abcdefgh"), **options).names
    assert "head-too-small" not in examine(Turned(), [batch], turned, vocabulary=Vocabulary("abcde"), **options).names


def test_two_begin_tokens_are_named() -> None:
    tokens = Tokens("abcde")

    def batch_of(*before: int) -> tuple[Tensor, Tensor]:
        rows = [torch.tensor([*before, *tokens.encode(text)[1:]]) for text in ("abe", "dab", "cad")]
        return torch.randn(3, 4), torch.stack(rows)

    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(30, 8), nn.Linear(8, 30)

        def forward(self, labels: Tensor) -> Tensor:
            return self.head(self.embed(labels))

    def next_label(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(model(batch[1][:, :-1]).transpose(1, 2), batch[1][:, 1:])

    once, twice = (
        examine(Looks(), [batch_of(*before)], next_label, vocabulary=tokens, texts=TEXTS).names
        for before in ([20], [20, 20])
    )
    assert "begin-token-twice" not in once
    assert "begin-token-twice" in twice


def test_a_begin_token_in_the_text_and_before_it_is_named() -> None:
    class Marked(Tokens):
        def encode(self, text: str) -> list[int]:
            return [20, *(20 for _ in range(text.count("<s>"))), *super().encode(text.removeprefix("<s>"))[1:]]

        def decode(self, ids: Sequence[int]) -> str:
            return "<s>" * (list(ids).count(20) - 1) + super().decode(ids)

    texts = [f"<s>{text}" for text in TEXTS]
    assert "begin-token-twice" in found(Marked("abcde"), texts).names
    assert "begin-token-twice" not in found(Marked("abcde"), TEXTS).names


def test_padding_within_a_text_is_named() -> None:
    class Padded(Letters):
        pad_token_id = 2

    assert found(Padded("abcde")).names == ["padding-is-a-label"]
    Padded.pad_token_id = 0
    assert found(Padded("abcde")).names == []


LOADED = [("Ab²", "ab²", "loader-changes-case"), ("ab²", "ab2", "loader-changes-characters"), ("ab²", "ab²", None)]


@pytest.mark.parametrize(("text", "label", "name"), LOADED)
def test_a_loader_that_changes_texts_is_named(text: str, label: str, name: str | None) -> None:
    vocabulary = Vocabulary.from_texts(["aAb²2c"])
    encoded = torch.tensor([vocabulary.encode(label), vocabulary.encode("abc")])
    features, lengths = BATCHES[0].features[:2], torch.tensor([16, 9])
    batch = Batch(features, lengths, encoded, torch.tensor([3, 3]))
    model = Reader()
    model.head = nn.Linear(16, len(vocabulary))
    findings = examine(model, [batch], loss, vocabulary=vocabulary, texts=[text, "abc"])
    assert [one for one in findings.names if one.startswith("loader")] == ([name] if name else [])
    assert "loaded texts" in findings.checked
