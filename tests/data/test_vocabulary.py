"""Characters to classes and back, and nothing silently added."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloss.data.vocabulary import Vocabulary
from seqloss.errors import DataError

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5)


def test_classes_follow_code_point_order_after_the_blank() -> None:
    vocabulary = Vocabulary.from_texts(["cab", "ba"])
    assert vocabulary.encode("abc") == [1, 2, 3]
    assert len(vocabulary) == 4


def test_two_spellings_of_one_letter_are_one_class() -> None:
    vocabulary = Vocabulary.from_texts(["é", "e\u0301"])
    assert len(vocabulary) == 2
    assert vocabulary.encode("e\u0301") == [1]


@pytest.mark.parametrize(
    ("normalization", "classes"), [("NFC", "\u00e9\ufb01"), ("NFKC", "fi\u00e9"), ("none", "e\u0301\ufb01")]
)
def test_a_text_is_encoded_in_the_normal_form_of_the_vocabulary(normalization: str, classes: str) -> None:
    vocabulary = Vocabulary.from_texts(["e\u0301\ufb01"], normalization)
    assert set(vocabulary.characters) == set(classes)
    assert vocabulary.unknown_characters("e\u0301\ufb01") == []
    assert vocabulary.decode(vocabulary.encode("e\u0301\ufb01")) == vocabulary.normalize("e\u0301\ufb01")


def test_the_normal_form_is_saved_and_is_a_part_of_the_digest() -> None:
    one, other = Vocabulary(["a"]), Vocabulary(["a"], "NFKC")
    assert one != other
    assert one.digest != other.digest
    assert Vocabulary.from_json(other.to_json()) == other
    assert "normalization" not in one.to_json()  # files that know no other stay as they are


def test_a_vocabulary_with_an_unknown_normal_form_is_refused() -> None:
    with pytest.raises(DataError, match="not a vocabulary saved by seqloss"):
        Vocabulary.from_json(Vocabulary(["a"], "NFD").to_json())


@given(TEXTS)
def test_decoding_what_was_encoded_gives_the_nfc_text(texts: list[str]) -> None:
    vocabulary = Vocabulary.from_texts(texts)
    for text in texts:
        assert vocabulary.decode(vocabulary.encode(text)) == unicodedata.normalize("NFC", text)


@given(TEXTS)
def test_a_saved_vocabulary_is_the_same_when_read(texts: list[str]) -> None:
    vocabulary = Vocabulary.from_texts(texts)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert (hash(again), again.digest) == (hash(vocabulary), vocabulary.digest)


def test_an_unknown_character_is_named_with_its_code_point_and_never_added() -> None:
    vocabulary = Vocabulary.from_texts(["ab"])
    with pytest.raises(DataError, match=r"lacks 'é' \(U\+00E9 LATIN SMALL LETTER E WITH ACUTE\); correct"):
        vocabulary.encode("aé")
    assert len(vocabulary) == 3


def test_unknown_lists_each_lacking_character_once() -> None:
    assert Vocabulary.from_texts(["ab"]).unknown_characters("xaxy") == ["x", "y"]


def test_a_class_past_the_last_is_refused() -> None:
    with pytest.raises(DataError, match="class 3: expected 0 to 2"):
        Vocabulary.from_texts(["ab"]).decode([1, 3])


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 9999, '{"format": "seqloss vocabulary 1"}'])
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, text: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(DataError, match="not a vocabulary saved by seqloss"):
        Vocabulary.load(path)


def test_a_vocabulary_with_a_character_twice_is_refused() -> None:
    with pytest.raises(DataError, match="each once"):
        Vocabulary(["a", "a"])


def test_a_missing_file_is_reported_by_its_path(tmp_path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot load the vocabulary"):
        Vocabulary.load(tmp_path / "nowhere.json")


def test_saving_replaces_the_file_and_leaves_no_other(tmp_path) -> None:
    path = tmp_path / "run" / "vocabulary.json"
    Vocabulary.from_texts(["ab"]).save(path)
    Vocabulary.from_texts(["abc"]).save(path)
    assert Vocabulary.load(path) == Vocabulary.from_texts(["abc"])
    assert [file.name for file in path.parent.iterdir()] == ["vocabulary.json"]


def test_a_full_disk_while_saving_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "vocabulary.json"
    old = Vocabulary.from_texts(["ab"])
    old.save(path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Vocabulary.from_texts(["abc"]).save(path)
    assert Vocabulary.load(path) == old
    assert [file.name for file in tmp_path.iterdir()] == ["vocabulary.json"]


@pytest.mark.parametrize("unit", ["words", "phones"])
def test_words_are_symbols_between_spaces(unit: str) -> None:
    vocabulary = Vocabulary.from_texts(["sh iy", "iy h#"], unit=unit)
    assert vocabulary.characters == ("h#", "iy", "sh")
    assert vocabulary.encode("sh  iy h#") == [3, 2, 1]
    assert vocabulary.decode([3, 0, 2]) == "sh iy"
    assert vocabulary.unknown_characters("sh aa") == ["aa"]
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert vocabulary != Vocabulary(vocabulary.characters, unit="phones" if unit == "words" else "words")
    with pytest.raises(DataError, match="the vocabulary lacks 'aa'; correct the text"):
        vocabulary.encode("aa")
