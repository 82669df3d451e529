"""Right-to-left texts: the order in which a picture shows them, and back."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from bidi import get_display
from hypothesis import given
from hypothesis import strategies as st

from seqloss.data.bidirectional import first_strong_direction, has_right_to_left, to_visual_order
from seqloss.data.reading_order import ReadingOrder, describe_reading_order
from seqloss.data.rows import Row

ALEF, BET, GIMEL = "\u05d0", "\u05d1", "\u05d2"
QAMATS, DAGESH, FATHA = "\u05b8", "\u05bc", "\u064e"
AB = ALEF + BET

HEBREW = st.lists(
    st.tuples(st.sampled_from("אבגדה"), st.sampled_from(["", QAMATS, DAGESH + QAMATS])).map("".join),
    min_size=1,
    max_size=5,
).map("".join)
ARABIC = st.lists(
    st.tuples(st.sampled_from("ابتث"), st.sampled_from(["", FATHA])).map("".join), min_size=1, max_size=5
).map("".join)
LATIN = st.text("abc", min_size=1, max_size=5)
NUMBER = st.one_of(st.text("0123456789", min_size=1, max_size=5), st.sampled_from(["1,2", "12.50", "1/2", "50%", "$5"]))


def bracketed(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(words, st.sampled_from(["()", "[]", "«»", '""'])).map(
        lambda pair: pair[1][0] + pair[0] + pair[1][1]
    )


def ended(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(words, st.sampled_from(".,:;!?")).map("".join)


def sentences(*words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(*words), min_size=1, max_size=5).map(" ".join)


RIGHT_TO_LEFT = st.one_of(HEBREW, ARABIC)
PUNCTUATED = (RIGHT_TO_LEFT, bracketed(RIGHT_TO_LEFT), ended(RIGHT_TO_LEFT))


@pytest.mark.parametrize(
    ("text", "base", "visual"),
    [
        (AB + GIMEL, "rtl", GIMEL + BET + ALEF),
        (f"{AB} 12", "rtl", f"12 {BET}{ALEF}"),
        (f"{AB} 12", "ltr", f"12 {BET}{ALEF}"),
        (f"a {AB} b", "ltr", f"a {BET}{ALEF} b"),
        (f"a {AB} b", "rtl", f"b {BET}{ALEF} a"),
        (f"{AB}!", "rtl", f"!{BET}{ALEF}"),
        (f"{AB}!", "ltr", f"{BET}{ALEF}!"),
        (f"{ALEF}1.2", "ltr", f"1.2{ALEF}"),
        (f"{ALEF} 12:30, 50%", "rtl", f"50% ,12:30 {ALEF}"),
        ("abc!", "rtl", "!abc"),
        ("abc!", "ltr", "abc!"),
    ],
)
def test_a_text_is_in_the_order_of_the_picture(text: str, base: str, visual: str) -> None:
    assert to_visual_order(text, base) == visual


@pytest.mark.parametrize(
    ("text", "visual"),
    [
        (f"({AB})", f"({BET}{ALEF})"),
        (f"{AB}(", f"){BET}{ALEF}"),
        (f"«{ALEF}» [{BET}", f"{BET}] «{ALEF}»"),
        (f"{ALEF} (a) {BET}", f"{BET} (a) {ALEF}"),
        (f"{ALEF} ≤ {BET}", f"{BET} ≥ {ALEF}"),
    ],
)
def test_brackets_in_a_right_to_left_text_are_mirrored(text: str, visual: str) -> None:
    assert to_visual_order(text, "rtl") == visual


def test_brackets_in_a_left_to_right_part_are_not_mirrored() -> None:
    assert to_visual_order(f"f(x) {AB}", "ltr") == f"f(x) {BET}{ALEF}"


def test_marks_stay_behind_their_letter_in_either_direction() -> None:
    text = f"{ALEF}{QAMATS}{BET}{DAGESH}{QAMATS} e\u0301x"
    assert to_visual_order(text, "rtl") == f"e\u0301x {BET}{DAGESH}{QAMATS}{ALEF}{QAMATS}"


def test_a_zero_width_non_joiner_stays_behind_its_letter() -> None:
    assert to_visual_order("\u0628\u200c\u062a", "rtl") == "\u062a\u0628\u200c"


def test_controls_of_the_algorithm_have_their_effect_and_go() -> None:
    assert to_visual_order("a\u200f!", "ltr") == "a!"
    assert to_visual_order("\u202eab\u202c c", "ltr") == "ba c"
    assert to_visual_order(f"{ALEF} \u2066a!\u2069 {BET}", "rtl") == f"{BET} a! {ALEF}"


@given(st.text(st.sampled_from("abאבגا12 .,-+%$()[]<«»!?٣"), max_size=30), st.sampled_from(["ltr", "rtl"]))
def test_the_order_is_that_of_python_bidi_beside_the_mirrored_brackets(text: str, base: str) -> None:
    pairs = {bracket: "()[]<>«»".index(bracket) // 2 for bracket in "()[]<>«»"}
    ours, theirs = (
        [pairs.get(c, c) for c in shown]
        for shown in (to_visual_order(text, base), get_display(text, base_dir=base[0].upper()))
    )
    assert ours == theirs


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["ltr", "rtl"]))
def test_reordering_loses_and_invents_no_character(text: str, base: str) -> None:
    def letters(text: str) -> list[str]:
        kinds = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        return sorted(
            c
            for c in text
            if not unicodedata.mirrored(c)
            and unicodedata.bidirectional(c) not in kinds
            and c not in "\u061c\u200e\u200f"
        )

    assert letters(to_visual_order(text, base)) == letters(text)


def test_a_long_text_is_reordered() -> None:
    words = [f"{AB}{number}" for number in range(300)]
    shown = [f"{number}{BET}{ALEF}" for number in reversed(range(300))]
    assert to_visual_order(" ".join(words), "rtl") == " ".join(shown)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("abc", "ltr"),
        (AB, "rtl"),
        ("نص", "rtl"),
        (f"12 ({AB} a", "rtl"),
        (f'"a" {AB}', "ltr"),
        ("12!", "ltr"),
        (f"\u2067{AB}\u2069 a", "ltr"),
    ],
)
def test_the_base_direction_is_that_of_the_first_letter_outside_isolates(text: str, base: str) -> None:
    assert first_strong_direction(text) == base


def test_only_right_to_left_texts_are_reordered() -> None:
    assert not any(map(has_right_to_left, ["abc", "naïve — ¿qué?", "日本語", "हिन्दी"]))
    assert all(map(has_right_to_left, [AB, "نص", "a \u05d0", "٣"]))


# --- back to the logical order


@pytest.mark.parametrize("direction", ["auto", "rtl"])
@given(text=sentences(*PUNCTUATED, NUMBER))
def test_right_to_left_words_numbers_and_brackets_come_back_the_same(direction: str, text: str) -> None:
    order = ReadingOrder(direction, "rtl")
    assert order.to_logical(order.to_visual(text)) == text


@given(text=sentences(RIGHT_TO_LEFT, ended(RIGHT_TO_LEFT), LATIN))
def test_words_in_both_directions_come_back_the_same_with_a_base_direction_of_their_own(text: str) -> None:
    order = ReadingOrder("rtl", "rtl")
    assert order.to_logical(order.to_visual(text)) == text


@given(text=sentences(LATIN, bracketed(LATIN), ended(LATIN), NUMBER))
def test_left_to_right_texts_among_right_to_left_ones_are_left_alone(text: str) -> None:
    order = ReadingOrder("auto", "rtl")
    assert order.to_visual(text) == order.to_logical(text) == text


@pytest.mark.parametrize("base", ["ltr", "rtl"])
@given(text=sentences(*PUNCTUATED, LATIN, ended(LATIN)))
def test_a_mixed_text_comes_back_as_one_that_looks_the_same(base: str, text: str) -> None:
    order = ReadingOrder("auto", base)
    visual = order.to_visual(text)
    assert order.to_visual(order.to_logical(visual)) == visual


@pytest.mark.parametrize(
    ("direction", "one", "other"),
    [
        ("ltr", f"{AB} 12", f"12 {AB}"),  # a number beside right-to-left words of a left-to-right text
        ("rtl", "ab 12", "12 ab"),  # a number beside left-to-right words of a right-to-left text
        ("auto", f"a {AB}", f"{AB} a"),  # one run in each direction, with the base direction of either
        ("rtl", AB, f"{ALEF}\u200f{BET}"),  # a control
    ],
)
def test_these_texts_look_the_same(direction: str, one: str, other: str) -> None:
    """So that one of the two cannot come back."""
    order = ReadingOrder(direction, "rtl" if direction == "auto" else direction)
    assert order.to_visual(one) == order.to_visual(other)


def test_the_base_direction_of_most_texts_decides_between_texts_that_look_the_same() -> None:
    visual = f"a {BET}{ALEF}"
    assert ReadingOrder("auto", "ltr").to_logical(visual) == f"a {AB}"
    assert ReadingOrder("auto", "rtl").to_logical(visual) == f"{AB} a"


def test_the_base_direction_is_that_of_most_training_texts_or_the_given_one() -> None:
    texts = [AB, BET, "abc"]
    assert ReadingOrder.from_texts(texts) == ReadingOrder("auto", "rtl")
    assert ReadingOrder.from_texts([*texts, "a", "b"]) == ReadingOrder("auto", "ltr")
    assert ReadingOrder.from_texts(texts, "ltr") == ReadingOrder("ltr", "ltr")
    assert ReadingOrder.from_texts(["abc"], "rtl") == ReadingOrder("rtl", "rtl")


def test_texts_in_the_order_of_the_picture_are_left_alone() -> None:
    order = ReadingOrder("visual", "rtl")
    assert order.to_visual(f"{AB} (12") == order.to_logical(f"{AB} (12") == f"{AB} (12"


# --- the line


def lines(direction: str, *texts: str) -> list[str]:
    rows = [Row("m.csv", n, Path(f"/{n}.png"), text, None, f"{n}.png") for n, text in enumerate(texts, 2)]
    return list(describe_reading_order(rows, ReadingOrder.from_texts(texts, direction)))


def test_left_to_right_texts_have_no_line() -> None:
    assert lines("auto", "abc", "naïve (1)") == []


def test_right_to_left_texts_are_counted_in_a_line() -> None:
    assert lines("auto", AB, BET, f"{AB} 12", "abc") == [
        "texts: 3 of 4 are right to left; trained in the order in which an image shows them, "
        "transcribed in logical order (--direction auto)"
    ]


def test_texts_that_do_not_come_back_the_same_are_counted_with_the_first() -> None:
    (line,) = lines("auto", AB, BET, f"a {AB}", "abc", f"a {BET}")
    assert line == (
        "texts: 2 of 5 are right to left, 2 more have right-to-left parts; trained in the order in which an image "
        "shows them, transcribed in logical order (--direction auto)"
    )
    (line,) = lines("auto", AB, BET, GIMEL, f"a {AB}")
    assert line.endswith(
        f"; 1 would be transcribed as another text that looks the same, such as that of 5.png: 'a {AB}' as '{AB} a'"
    )


def test_a_direction_is_said_where_texts_have_right_to_left_letters() -> None:
    assert lines("visual", AB, "abc") == [
        "texts: 1 of 2 has right-to-left letters; taken to be stored in the order in which the images show them "
        "(--direction visual)"
    ]
    assert lines("rtl", "abc!", AB)[0].startswith("texts: 2 of 2 are right to left; trained in the order")
