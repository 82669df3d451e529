"""`seqloss align`: the text, the formats, the file, and errors as messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqloss.recipes.recognition.segments import from_ctm, from_json, from_srt, from_textgrid
from seqloss.training.engine import train
from seqloss.training.settings import RunOptions

from ..recipes.speech.conftest import SMALL, write_tones


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> tuple[Path, Path]:
    """(recordings, run), trained until it hears something; not to be written to."""
    from seqloss.recipes.speech.settings import Settings
    from seqloss.recipes.speech.task import SpeechTask

    home = tmp_path_factory.mktemp("align")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQLOSS_CACHE_DIR", str(home / "cache"))
        data = write_tones(home / "data")
        settings = Settings(**{**SMALL, "epochs": 40, "lr": 0.01}, data=str(data), spec_augment=False)
        train(SpeechTask(settings), home / "run", RunOptions(workers=0), print_line=lambda line: None)
    return data, home / "run"


@pytest.fixture
def aligned(seqloss, trained):
    """Run `seqloss align` on the recording of "ba b"."""
    data, run = trained
    return lambda *arguments: seqloss("align", run, data / "5.wav", *arguments)


def test_a_table_has_a_line_for_each_word_and_character(aligned) -> None:
    code, out, err = aligned("ba b")
    assert (code, err) == (0, "")
    header, *lines = [line.split("\t") for line in out.splitlines()]
    assert header == ["tier", "start", "end", "confidence", "text"]
    assert [(tier, text) for tier, *_, text in lines] == [
        ("words", "ba"),
        ("words", "b"),
        *(("characters", letter) for letter in "ba b"),
    ]
    starts, ends, confidences = ([float(line[column]) for line in lines[2:]] for column in (1, 2, 3))
    assert all(0 <= start < end <= 0.42 for start, end in zip(starts, ends, strict=True))
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert all(0 < confidence <= 1 for confidence in confidences)
    assert float(lines[0][1]) == starts[0]
    assert float(lines[0][2]) == ends[1]


def test_every_format_is_read_back_to_the_same_numbers(aligned, tmp_path) -> None:
    expected = from_json(aligned("ba b", "--format", "json")[1])
    assert (expected.name, expected.seconds) == ("5", 0.4)
    words = expected.tiers["words"]
    assert [word.text for word in words] == ["ba", "b"]
    for name, read in (("ctm", from_ctm), ("srt", from_srt), ("textgrid", from_textgrid)):
        code, out, err = aligned("ba b", "--format", name)
        assert (code, err) == (0, "")
        found = read(out).tiers["words"]
        assert [(s.start, s.end, s.text) for s in found] == [(s.start, s.end, s.text) for s in words]
    grid = from_textgrid(aligned("ba b", "--format", "textgrid")[1])
    assert [(s.start, s.end) for s in grid.tiers["characters"]] == [
        (s.start, s.end) for s in expected.tiers["characters"]
    ]


@pytest.mark.parametrize("suffix", ["TextGrid", "ctm", "srt", "json"])
def test_a_file_has_the_format_of_its_suffix(aligned, tmp_path, suffix) -> None:
    file = tmp_path / "new" / f"a.{suffix}"
    assert aligned("ba b", "--out", file) == (0, f"wrote {file}\n", "")
    assert file.read_text() == aligned("ba b", "--format", suffix.lower())[1]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_praatio_reads_the_textgrid(aligned, tmp_path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    aligned("ba b", "--out", tmp_path / "a.TextGrid")
    expected = json.loads(aligned("ba b", "--format", "json")[1])
    grid = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    assert grid.maxTimestamp == expected["seconds"]
    for tier in ("words", "characters"):
        found = [tuple(entry) for entry in grid.getTier(tier).entries]
        shown = [segment for segment in expected["tiers"][tier] if segment["text"] != " "]
        assert found == [(segment["start"], segment["end"], segment["text"]) for segment in shown]


def test_a_text_may_be_in_a_file(aligned, tmp_path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfba \r\nb\n")
    assert aligned("--text-file", tmp_path / "text.txt") == aligned("ba b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "found neither TEXT nor --text-file; give the text itself, or the file that holds it."),
        (("ba b", "--text-file", "x.txt"), "found both TEXT and --text-file"),
        (("--text-file", "gone.txt"), "gone.txt: No such file or directory"),
        (("ba b", "--format", "elan"), "--format: found 'elan', expected one of table, textgrid, ctm"),
        (("ba b", "--out", "a.eaf"), "--out: found suffix '.eaf', expected .textgrid, .ctm, .srt, .json; or give"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(aligned, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = aligned(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_that_is_missing_is_named_before_the_text_is_judged(seqloss, trained) -> None:
    code, out, err = seqloss("align", trained[1], "ba b", "recordings/talk.wav")
    assert (code, out) == (2, "")
    assert err == "ba b: no such file\n"


def test_a_text_file_that_is_not_utf8_is_refused(aligned, tmp_path) -> None:
    (tmp_path / "text.txt").write_bytes(b"b\xe4")
    code, _, err = aligned("--text-file", tmp_path / "text.txt")
    assert code == 2
    assert err == f"error: {tmp_path / 'text.txt'}: not UTF-8 (byte 0xE4 in line 1); save it again as UTF-8.\n"


def test_a_text_or_a_recording_that_cannot_be_aligned_is_a_message_with_its_path(aligned, seqloss, trained) -> None:
    data, run = trained
    code, out, err = aligned("ba bach")
    assert (code, out) == (2, "")
    assert err.startswith(f"{data / '5.wav'}: the vocabulary of this run lacks 'c' (U+0063")
    assert aligned("ab" * 50)[2].startswith(f"{data / '5.wav'}: too short for the text: 100 characters")
    assert seqloss("align", run, "gone.wav", "ab") == (2, "", "gone.wav: no such file\n")


def test_nothing_is_written_where_the_text_does_not_fit(aligned, tmp_path) -> None:
    aligned("ab" * 50, "--out", tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_images_is_refused(seqloss, trained_words) -> None:
    data, run = trained_words
    code, out, err = seqloss("align", run, data / "ab.png", "ab")
    assert (code, out) == (2, "")
    assert err == "error: recipe 'ocr' finds no times of a text; use a run of `seqloss train speech`.\n"
