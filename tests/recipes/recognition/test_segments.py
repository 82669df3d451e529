"""Alignments are read back from every format with the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloss.recipes.recognition.segments import (
    Alignment,
    Segment,
    from_ctm,
    from_json,
    from_srt,
    from_textgrid,
    to_ctm,
    to_json,
    to_srt,
    to_textgrid,
)

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=6)


@st.composite
def alignments(draw: st.DrawFn) -> Alignment:
    times = sorted(draw(st.sets(st.integers(0, 5_000_000), max_size=12)))
    pairs = list(zip(times[::2], times[1::2], strict=False))
    segments = [Segment(a / 1000, b / 1000, draw(WORDS), draw(st.integers(0, 1000)) / 1000) for a, b in pairs]
    end = (times[-1] if times else 0) / 1000 + draw(st.sampled_from([0.001, 0.25, 3600.5]))
    return Alignment("a", round(end, 3), {"words": segments, "characters": segments[:1]})


def times_and_texts(segments) -> list[tuple[float, float, str]]:
    return [(segment.start, segment.end, segment.text) for segment in segments]


@settings(max_examples=60, deadline=None)
@given(alignments())
def test_every_format_gives_back_the_same_numbers(alignment: Alignment) -> None:
    words = alignment.tiers["words"]
    assert from_json(to_json(alignment)) == alignment
    grid = from_textgrid(to_textgrid(alignment))
    assert grid.seconds == alignment.seconds
    assert {name: times_and_texts(tier) for name, tier in grid.tiers.items()} == {
        name: times_and_texts(tier) for name, tier in alignment.tiers.items()
    }
    assert from_ctm(to_ctm(alignment)).tiers["words"] == words
    assert times_and_texts(from_srt(to_srt(alignment)).tiers["words"]) == times_and_texts(words)


def test_praatio_reads_the_textgrid(tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    words = [Segment(0.12, 0.5, 'say "a"'), Segment(0.5, 1.04, "ä")]
    alignment = Alignment("a", 1.5, {"words": words, "characters": [Segment(0.2, 0.24, "a")]})
    (tmp_path / "a.TextGrid").write_text(to_textgrid(alignment), encoding="utf-8")
    grid = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    assert grid.maxTimestamp == 1.5
    assert [tuple(entry) for entry in grid.getTier("words").entries] == times_and_texts(words)
    assert [tuple(entry) for entry in grid.getTier("characters").entries] == [(0.2, 0.24, "a")]


def test_json_without_other_than_ascii_characters_is_read_back() -> None:
    alignment = Alignment("ä", 1.0, {"words": [Segment(0.0, 1.0, "жук", 0.5)]})
    assert "жук" in to_json(alignment)
    assert to_json(alignment, ascii_only=True).isascii()
    assert from_json(to_json(alignment, ascii_only=True)) == alignment


def test_a_subtitle_has_hours() -> None:
    assert to_srt(Alignment("a", 9000, {"words": [Segment(3661.5, 7322.004, "x")]})) == (
        "1\n01:01:01,500 --> 02:02:02,004\nx\n"
    )


def test_spaces_in_a_name_do_not_add_columns_to_ctm() -> None:
    found = to_ctm(Alignment("my file", 1.0, {"words": [Segment(0.0, 1.0, "a b", 0.5)]}))
    assert found == "my_file 1 0.000 1.000 a_b 0.5\n"
