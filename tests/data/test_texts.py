"""Texts that a picture of one line cannot show: what is stripped, refused, kept and noted."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloss.data.invisible import name_character
from seqloss.data.rows import Row
from seqloss.data.text_notes import clean_rows
from seqloss.data.texts import CleanText, clean_text
from seqloss.errors import DataError, OptionError


def rows(*texts: str) -> list[Row]:
    return [Row("m.csv", n, Path(f"/{n}.png"), text, None, f"{n}.png") for n, text in enumerate(texts, 2)]


def lines(*texts: str, normalization: str = "NFC") -> list[str]:
    return list(clean_rows(rows(*texts), normalization)[2].lines())


@pytest.mark.parametrize("around", [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u2003 "])
def test_spaces_around_a_text_are_stripped_and_those_inside_stay(around: str) -> None:
    found = clean_text(f"{around}two  words{around}")
    assert found == CleanText("two  words", stripped=True, suspects=(), form="")


def test_a_text_without_spaces_around_it_is_not_counted() -> None:
    assert clean_text("two words") == CleanText("two words", stripped=False, suspects=(), form="")


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\n", r"U+000A LINE FEED"),
        ("\r", r"U+000D CARRIAGE RETURN"),
        ("\v", r"U+000B LINE TABULATION"),
        ("\f", r"U+000C FORM FEED"),
        ("\x85", r"U+0085 NEXT LINE"),
        ("\u2028", r"U+2028 LINE SEPARATOR"),
        ("\u2029", r"U+2029 PARAGRAPH SEPARATOR"),
    ],
)
def test_a_line_break_inside_a_text_makes_its_row_bad(character: str, name: str) -> None:
    kept, bad, _ = clean_rows(rows("good", f"two{character}lines"))
    assert [row.text for row in kept] == ["good"]
    assert [(row.file, row.row, row.reason) for row in bad] == [
        (
            "m.csv",
            3,
            f"3.png: a line break in the text ({name} after 'two'); give each line a picture of its own, "
            "or put a space there",
        )
    ]


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\t", "U+0009 CHARACTER TABULATION"),
        ("\u00a0", "U+00A0 NO-BREAK SPACE"),
        ("\u3000", "U+3000 IDEOGRAPHIC SPACE"),
        ("\u2009", "U+2009 THIN SPACE"),
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u200c", "U+200C ZERO WIDTH NON-JOINER"),
        ("\u200d", "U+200D ZERO WIDTH JOINER"),
        ("\u2060", "U+2060 WORD JOINER"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE, a byte order mark"),
        ("\x07", "U+0007 control character"),
        ("\x9f", "U+009F control character"),
        ("\u00ad", "U+00AD SOFT HYPHEN"),
        ("\u200f", "U+200F RIGHT-TO-LEFT MARK"),
        ("\u202b", "U+202B RIGHT-TO-LEFT EMBEDDING"),
        ("\u2066", "U+2066 LEFT-TO-RIGHT ISOLATE"),
        ("\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
        ("\u115f", "U+115F HANGUL CHOSEONG FILLER"),
        ("\ufffd", "U+FFFD REPLACEMENT CHARACTER"),
    ],
)
def test_a_character_that_no_picture_shows_is_kept_and_named_with_a_row(character: str, name: str) -> None:
    texts = ("plain", f"a{character}b", f"{character}c{character}d")
    kept, bad, notes = clean_rows(rows(*texts))
    assert bad == []
    assert kept[1].text == f"a{character}b"
    assert f"texts: {name} in 2 (such as 3.png, line 3)" in list(notes.lines())


@pytest.mark.parametrize("text", ["a b", "naïve", "日本", "نص", "\u0600٧", "e\u0301", "क्ष", "\ue000", "😀"])
def test_visible_characters_are_not_listed(text: str) -> None:
    assert lines(text) == []


@pytest.mark.parametrize("text", ["\u200b", "\ufeff \u200b", "\u00ad"])
def test_a_text_of_invisible_characters_makes_its_row_bad(text: str) -> None:
    kept, bad, _ = clean_rows(rows(text))
    assert kept == []
    assert bad[0].reason.startswith(f"2.png: nothing in the text is visible (it is {name_character(text[0])}")


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_text_makes_its_row_bad(text: str) -> None:
    assert [row.reason for row in clean_rows(rows(text))[1]] == ["2.png: the text is empty"]


def test_spaces_around_texts_are_counted_in_one_line() -> None:
    assert lines("a", " b", "c\t") == ["texts: 2 had spaces around them, stripped (such as 3.png, line 3)"]


@pytest.mark.parametrize(
    ("normalization", "text"), [("NFC", "\u00e9\ufb01"), ("NFKC", "\u00e9fi"), ("none", "e\u0301\ufb01")]
)
def test_a_text_is_in_the_chosen_normal_form(normalization: str, text: str) -> None:
    assert clean_text("e\u0301\ufb01", normalization).text == text


def test_an_unknown_normal_form_is_refused() -> None:
    with pytest.raises(OptionError, match="normalization: found 'NFD', expected one of 'NFC', 'NFKC', 'none'"):
        clean_text("a", "NFD")


def test_characters_that_normalization_replaces_are_not_listed() -> None:
    assert lines("a\u00a0b", normalization="NFKC") == []


def test_texts_in_different_normal_forms_are_counted_with_a_row_each() -> None:
    texts = ("plain", "\u00e9", "e\u0301", "\u00e8", "\u00e9e\u0301")
    counts = "2 in NFC (such as 3.png, line 3), 1 in NFD (such as 4.png, line 4), 1 in neither (such as 6.png, line 6)"
    assert lines(*texts) == [f"texts: their Unicode normal forms differ: {counts}; all are trained in NFC"]
    (line,) = lines(*texts, normalization="none")
    assert line.endswith("letters that look the same are different classes; --normalize NFC makes them the same")


@pytest.mark.parametrize("texts", [("a", "\u00e9", "\u00e8"), ("a", "e\u0301")])
def test_texts_in_one_normal_form_are_not_noted(texts: tuple[str, ...]) -> None:
    assert lines(*texts) == []


def test_an_image_that_is_named_after_its_text_has_no_line_in_a_note() -> None:
    row = Row("images", None, Path("/ a.png"), " a", None, " a.png")
    assert list(clean_rows([row])[2].lines()) == ["texts: 1 had spaces around them, stripped (such as  a.png)"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["NFC", "NFKC", "none"]))
def test_a_clean_text_has_no_space_around_it_and_no_line_break(text: str, normalization: str) -> None:
    try:
        clean = clean_text(text, normalization)
    except DataError:
        return
    assert len(clean.text.splitlines()) == 1 or set("\x1c\x1d\x1e") & set(clean.text)
    assert normalization == "NFKC" or clean.text == clean.text.strip()  # NFKC makes spaces of spacing accents
    assert normalization == "none" or unicodedata.is_normalized(normalization, clean.text)
