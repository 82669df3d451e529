"""Each layout of sounds is recognised by its files, read with the right texts, and named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.folder import open_folder
from seqloss.data.layouts import LAYOUTS
from seqloss.data.layouts.choice import choose_layout
from seqloss.data.paths import IMAGES, SOUNDS
from seqloss.data.rows import read_rows
from seqloss.errors import DataError

from .sound_trees import PHONES, SOUND_TREES, record, write

EXPECTED = {
    "audiofolder": (
        "metadata",
        ["texts: test/metadata.csv and train/metadata.csv, columns file_name and transcription"],
    ),
    "librispeech": (
        "librispeech",
        ["texts: 2 files *.trans.txt, such as 61-70968.trans.txt, as in LibriSpeech"],
    ),
    "timit": (
        "timit",
        [
            "texts: files *.txt beside the recordings, as in TIMIT",
            "left out 2 recordings of the sentences SA1 and SA2",
        ],
    ),
    "common_voice": ("common-voice", ["texts: train.tsv and test.tsv, columns path and sentence, as in Common Voice"]),
    "nemo": ("nemo", ["texts: test_manifest.json and train_manifest.json, columns audio_filepath and text"]),
    "kaldi": ("kaldi", ["texts: text beside test/wav.scp and train/wav.scp, as in Kaldi"]),
    "ljspeech": ("ljspeech", ["texts: metadata.csv, last column, as in LJSpeech"]),
}


@pytest.mark.parametrize("tree", SOUND_TREES)
def test_a_tree_of_sounds_is_recognised_and_read(tree: str, tmp_path: Path) -> None:
    SOUND_TREES[tree](tmp_path)
    layout, lines = EXPECTED[tree]
    assert choose_layout(open_folder(tmp_path, kind=SOUNDS))[0].name == layout
    found = read_rows(tmp_path, kind=SOUNDS)
    assert sorted(row.text for row in found.rows) == ["apple", "fig", "pear"]
    assert all(row.path.is_file() for row in found.rows)
    assert (found.bad, found.lines) == ([], lines)


@pytest.mark.parametrize("tree", sorted(set(SOUND_TREES) - {"ljspeech"}))
def test_a_tree_of_sounds_has_its_splits(tree: str, tmp_path: Path) -> None:
    SOUND_TREES[tree](tmp_path)
    found = {row.text: row.split for row in read_rows(tmp_path, kind=SOUNDS).rows}
    assert found == {"apple": "train", "pear": "train", "fig": "test"}


def test_every_layout_of_sounds_has_a_tree() -> None:
    assert {layout.name for layout in LAYOUTS if layout.kind is SOUNDS} <= {layout for layout, _ in EXPECTED.values()}


def test_timit_phones_are_those_of_its_segments(tmp_path: Path) -> None:
    SOUND_TREES["timit"](tmp_path)
    found = read_rows(tmp_path, kind=SOUNDS, phones=True)
    assert {row.text for row in found.rows} == {f"h# {phones} h#" for phones in PHONES.values()}
    assert found.lines[0] == "texts: files *.phn beside the recordings, as in TIMIT"


def test_a_part_of_timit_without_train_and_test_keeps_the_sentences_of_all_speakers(tmp_path: Path) -> None:
    SOUND_TREES["timit"](tmp_path)
    assert len(read_rows(tmp_path / "TRAIN", kind=SOUNDS).rows) == 3


def test_a_segment_that_ends_before_it_begins_is_a_bad_row(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", "a")
    write(tmp_path / "a.phn", "0 10 h#\n30 20 sh\n")
    write(tmp_path / "a.txt", "0 20 a\n")
    assert read_rows(tmp_path, kind=SOUNDS, phones=True).bad[0].reason == (
        "line 2: found '30 20 sh', expected first sample, last sample and text"
    )


def test_phones_are_a_column_of_a_manifest(tmp_path: Path) -> None:
    record(tmp_path / "a.wav", "a")
    write(tmp_path / "manifest.csv", "path,text,phones\na.wav,a,ae h#\n")
    assert [row.text for row in read_rows(tmp_path, kind=SOUNDS, phones=True).rows] == ["ae h#"]
    write(tmp_path / "manifest.csv", "path,text\na.wav,a\n")
    with pytest.raises(DataError, match="no column named 'phones' in the header 'path,text'"):
        read_rows(tmp_path, kind=SOUNDS, phones=True)


def test_commands_and_segments_of_kaldi_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "wav.scp", "a sox a.flac -t wav - |\nb b.wav\nc c.wav\n")
    write(tmp_path / "text", "a apple\nb pear\nd fig\n")
    assert [(row.row, row.reason) for row in read_rows(tmp_path, kind=SOUNDS).bad] == [
        (1, "a is a command, 'sox a.flac -t wav - |'; run it once, and write the path of its output instead"),
        (3, "utterance d is not in wav.scp; add it, or remove the line"),
        (3, "utterance c is not in text; add it, or remove the line"),
    ]
    write(tmp_path / "segments", "a-1 a 0.0 1.0\n")
    with pytest.raises(DataError, match="segments of longer recordings are not read; cut them into files"):
        read_rows(tmp_path, kind=SOUNDS)


def test_an_utterance_of_kaldi_that_is_there_twice_is_a_bad_row(tmp_path: Path) -> None:
    for name in "abc":
        record(tmp_path / f"{name}.wav", name)
    write(tmp_path / "wav.scp", "a a.wav\na b.wav\nb c.wav\n")
    write(tmp_path / "text", "a apple\nb pear\nb fig\n")
    found = read_rows(tmp_path, kind=SOUNDS)
    assert [(row.name, row.text) for row in found.rows] == [("a.wav", "apple"), ("c.wav", "pear")]
    assert [(Path(row.file).name, row.row, row.reason) for row in found.bad] == [
        ("wav.scp", 2, "utterance a is in line 1 already; keep one of the lines"),
        ("text", 3, "utterance b is in line 2 already; keep one of the lines"),
    ]


def test_a_recording_in_the_files_of_two_splits_is_a_bad_row(tmp_path: Path) -> None:
    SOUND_TREES["kaldi"](tmp_path)
    write(tmp_path / "test/wav.scp", "spk2-c train/a.wav\n")
    [bad] = read_rows(tmp_path, kind=SOUNDS).bad
    assert bad.reason == f"train/a.wav: the same recording as line 1 of {tmp_path / 'test/text'}"


@pytest.mark.parametrize("name", ["data/train/text", "text", "wav.scp", "1.lab", "1.TextGrid", "all.ctm", "talk.srt"])
def test_names_of_recordings_are_no_texts_beside_files_that_may_hold_them(name: str, tmp_path: Path) -> None:
    record(tmp_path / "1.wav", "a")
    write(tmp_path / name, "1 apple\n")
    with pytest.raises(DataError, match="so the file names are not taken as texts"):
        read_rows(tmp_path, kind=SOUNDS)
    assert [row.text for row in read_rows(tmp_path, kind=SOUNDS, layout="file-names").rows] == ["1"]


def test_a_manifest_of_nemo_of_another_name_is_pointed_to(tmp_path: Path) -> None:
    SOUND_TREES["nemo"](tmp_path)
    (tmp_path / "test_manifest.json").unlink()
    (tmp_path / "train_manifest.json").rename(tmp_path / "corpus.json")
    with pytest.raises(DataError, match=r"if corpus\.json has them, give --data .*corpus\.json; "):
        read_rows(tmp_path, kind=SOUNDS)
    assert [row.text for row in read_rows(tmp_path / "corpus.json", kind=SOUNDS).rows] == ["apple", "pear"]


def test_a_line_of_ljspeech_with_another_number_of_columns_is_a_bad_row(tmp_path: Path) -> None:
    SOUND_TREES["ljspeech"](tmp_path)
    record(tmp_path / "wavs/4.wav", "a")
    with (tmp_path / "metadata.csv").open("a") as file:
        file.write("4|either|or|both\n")
    assert [row.reason for row in read_rows(tmp_path, kind=SOUNDS).bad] == [
        "4 columns, the first line has 3; write as many, and no bar inside of a text"
    ]


def test_absolute_paths_inside_the_folder_are_read_and_others_are_not(tmp_path: Path) -> None:
    record(tmp_path / "data/a.wav", "a")
    record(tmp_path / "b.wav", "b")
    lines = [f'{{"audio_filepath": "{tmp_path / name}", "text": "x"}}' for name in ("data/a.wav", "b.wav")]
    write(tmp_path / "data/train_manifest.json", "\n".join(lines))
    found = read_rows(tmp_path / "data", kind=SOUNDS)
    assert [row.name for row in found.rows] == ["a.wav"]
    assert "leads out of the data folder" in found.bad[0].reason


def test_texts_of_common_voice_keep_their_quotation_marks(tmp_path: Path) -> None:
    record(tmp_path / "clips/a.mp3", "a")
    write(tmp_path / "train.tsv", 'client_id\tpath\tsentence\nx\ta.mp3\t"Oh", he said\n')
    assert [row.text for row in read_rows(tmp_path, kind=SOUNDS).rows] == ['"Oh", he said']


def test_layouts_of_sounds_are_no_layouts_of_images(tmp_path: Path) -> None:
    SOUND_TREES["kaldi"](tmp_path)
    with pytest.raises(DataError) as refused:
        read_rows(tmp_path, kind=IMAGES)
    assert "kaldi" not in str(refused.value)
