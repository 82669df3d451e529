"""All recordings that cannot be used are reported at once, each with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqloss.errors import DataError, OptionError
from seqloss.recipes.speech.settings import Settings

from ...data.layouts.sound_trees import record
from .conftest import write_tones


def reasons(task) -> list[str]:
    with pytest.raises(DataError) as refused:
        task.load_data()
    return [row.reason for row in refused.value.rows]


def test_all_kinds_of_bad_rows_are_reported_at_once(speech_task, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    record(data / "short.wav", "a")
    (data / "text.wav").write_text("not a sound")
    (data / "none.wav").touch()
    np.save(data / "other.npy", np.random.default_rng(0).normal(size=(50, 13)).astype(np.float32))
    rows = ("short.wav,abcdefgh", "text.wav,a", "none.wav,b", "other.npy,a", "gone.wav,a", "0.wav,again", "../x.wav,a")
    write_tones(data, "".join(f"{row},train\n" for row in rows))
    found = reasons(speech_task(data, subsampling=4))
    assert len(found) == 7
    assert found[0].startswith(
        "short.wav: too short for its text: 8 labels and 0 adjacent repeats need 8 frames, 0.10 s have 3 at "
        "--subsampling 4; "
    )
    assert found[1].startswith("text.wav: ")
    assert found[2].startswith("none.wav: ")
    assert found[3] == "other.npy: features of 13 values, while most others are a sound; train them separately"
    assert found[4] == "gone.wav: no such file"
    assert found[5] == "0.wav: the same recording as line 2"
    assert found[6].startswith("../x.wav: leads out of the data folder")


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_features_among_sounds_are_refused_in_every_split(split: str, speech_task, tmp_path: Path) -> None:
    """Most rows of the held-out splits may be of another kind than most rows of all."""
    data = tmp_path / "data"
    data.mkdir()
    names = [f"other{n}.npy" for n in range(4)]
    for name in names:
        np.save(data / name, np.random.default_rng(0).normal(size=(50, 13)).astype(np.float32))
    task = speech_task(write_tones(data, "".join(f"{name},c,{split}\n" for name in names)))
    reason = "features of 13 values, while most others are a sound; train them separately"
    assert reasons(task) == [f"{name}: {reason}" for name in names]
    loaded = task.load_data(skip_bad=True)
    assert task.vocabulary.characters == (" ", "a", "b")
    assert sum(map(len, loaded.sources.values())) == 10


def test_a_text_that_would_fit_with_less_subsampling_says_so(speech_task, tmp_path: Path) -> None:
    data = tmp_path / "data"
    record(data / "short.wav", "a")
    task = speech_task(write_tones(data, "short.wav,abab,train\n"), subsampling=4)
    with pytest.raises(DataError) as refused:
        task.load_data()
    assert refused.value.rows[0].reason.endswith("0.10 s have 3 at --subsampling 4; it would fit with --subsampling 2")
    assert "at 4 feature frames/frame" in refused.value.note
    assert speech_task(data, subsampling=2).load_data().skipped == []


def test_bad_rows_can_be_skipped(speech_task, tmp_path: Path) -> None:
    task = speech_task(write_tones(tmp_path / "data", "gone.wav,a,train\n"))
    data = task.load_data(skip_bad=True)
    assert len(data.skipped) == 1
    assert len(data.sources["train"]) == 8


def test_what_was_done_to_recordings_is_printed(speech_task, tmp_path: Path) -> None:
    import soundfile

    data = tmp_path / "data"
    data.mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 2))
    soundfile.write(data / "stereo.wav", noise, 8000)
    lines: list[str] = []
    speech_task(write_tones(data, "stereo.wav,a,train\n")).load_data(print_line=lines.append)
    assert lines[1].startswith("recordings: 11, 0.00 hours")
    assert lines[2:] == [
        "recordings: 1 resampled to 16000 Hz (such as stereo.wav, at 8000 Hz)",
        "recordings: 1 mixed down to one channel (such as stereo.wav, with 2 channels)",
    ]


def test_a_text_with_too_many_symbols_per_second_is_warned_about(speech_task, tmp_path: Path) -> None:
    data = tmp_path / "data"
    record(data / "fast.wav", "ababab")
    lines: list[str] = []
    speech_task(write_tones(data, f"fast.wav,{'ab' * 12},train\n")).load_data(print_line=lines.append)
    assert lines[-1].startswith("WARNING: fast.wav: 40 characters per second, more than 3 times those of 99 % of the")


def test_phones_are_trained_as_48_classes_and_scored_as_39(speech_task, tmp_path: Path) -> None:
    data = tmp_path / "data"
    record(data / "a.wav", "abcdef")
    record(data / "b.wav", "abcdef")
    rows = "a.wav,h# sh ix q hv eh dcl h#,train\nb.wav,h# ix eh dcl h#,validation\n"
    (data / "manifest.csv").write_text(f"path,phones,split\n{rows}")
    task = speech_task(data, units="phones")
    lines: list[str] = []
    task.load_data(print_line=lines.append)
    assert "phones: TIMIT's 61, folded to 48 for training and 39 for scoring (Lee and Hon 1989)" in lines
    assert task.vocabulary.characters == ("eh", "hh", "ix", "sh", "sil", "vcl")
    assert task.scored("sil sh ix hh eh vcl sil") == "sil sh ih hh eh sil sil"
    assert [metric.name for metric in task.metrics] == ["distance", "exact", "phones"]


def test_a_phone_that_keeps_those_of_timit_from_being_folded_is_named(speech_task, tmp_path: Path) -> None:
    data = tmp_path / "data"
    record(data / "a.wav", "abcdef")
    record(data / "b.wav", "abcdef")
    rows = "a.wav,h# sh ix q hv ehh dcl h#,train\nb.wav,h# ix eh dcl h#,validation\n"
    (data / "manifest.csv").write_text(f"path,phones,split\n{rows}")
    lines: list[str] = []
    speech_task(data, units="phones").load_data(print_line=lines.append)
    assert any(line.startswith("phones: h# is TIMIT's silence, but ehh is none of its 61 phones") for line in lines)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "gru"}, "--encoder: found 'gru', expected one of lstm, conformer"),
        ({"subsampling": 3}, "--subsampling: found 3, expected one of 2, 4"),
        ({"units": "letters"}, "--units: found 'letters', expected one of characters, words, phones"),
        ({"rate": 100}, "--rate: found 100, expected 4000 to 48000"),
        ({"size": 20}, "--size: found 20, expected a multiple of 16"),
        ({"dropout": 1.0}, "--dropout: found 1.0, expected 0 to less than 1"),
        ({"layout": "kaldi"}, "--layout, --audio and --follow-links need --data"),
        ({"units": "phones"}, "--units phones needs --data"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Settings(**changes)
