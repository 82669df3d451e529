"""Rows of a data set: what is read, and how each kind of bad input is reported. Layouts are tested in layouts/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqloss.data.rows import read_rows
from seqloss.errors import BadRow, DataError


def written(folder: Path, text: str | bytes, name: str = "manifest.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def reasons(bad: list[BadRow]) -> list[tuple[int | None, str]]:
    return [(row.row, row.reason) for row in bad]


def test_csv_rows_carry_line_path_text_and_split(tmp_path) -> None:
    source = written(tmp_path, 'text,other,path,split\n"a, ""b""",1,x/1.png,train\n\nc,2,2.png,\n')
    rows, bad, _ = read_rows(source)
    assert [(r.row, r.path, r.name, r.text, r.split) for r in rows] == [
        (2, tmp_path / "x/1.png", "x/1.png", 'a, "b"', "train"),
        (4, tmp_path / "2.png", "2.png", "c", ""),
    ]
    assert bad == []
    assert rows[0].file == str(tmp_path / "manifest.csv")


def test_a_row_over_two_lines_is_counted_where_it_begins(tmp_path) -> None:
    rows, _, _ = read_rows(written(tmp_path, 'path,text\n1.png,"a\nb"\n2.png,c\n'))
    assert [row.row for row in rows] == [2, 4]


def test_jsonl_rows_carry_line_path_text_and_split(tmp_path) -> None:
    lines = [
        {"path": "1.png", "text": "a\u2028b"},
        {"path": "2.png", "text": "c", "split": "test", "more": 1},
    ]
    text = "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    rows, bad, _ = read_rows(written(tmp_path, text, "manifest.jsonl"))
    assert [(r.row, r.name, r.text, r.split) for r in rows] == [
        (1, "1.png", "a\u2028b", None),
        (3, "2.png", "c", "test"),
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manifest.csv", "path,text,Speaker\n1.png,a,ann\n2.png,b,bob\n"),
        ("manifest.jsonl", '{"path": "1.png", "text": "a", "speaker": "ann"}\n{"path": "2.png", "speaker": "bob"}\n'),
    ],
)
def test_another_column_is_read_in_place_of_texts(name: str, text: str, tmp_path) -> None:
    assert [row.text for row in read_rows(written(tmp_path, text, name), column="speaker").rows] == ["ann", "bob"]


def test_a_text_never_stands_in_for_a_named_column(tmp_path) -> None:
    lines = '{"path": "1.png", "text": "a"}\n{"path": "2.png", "text": "b", "speaker": "bob"}\n'
    rows, bad, _ = read_rows(written(tmp_path, lines, "manifest.jsonl"), column="speaker")
    assert ([row.text for row in rows], reasons(bad)) == (["bob"], [(1, "speaker is missing")])
    (tmp_path / "manifest.jsonl").unlink()
    with pytest.raises(DataError, match=r"no column named 'speaker' in the header 'path,label'; .* path,speaker \("):
        read_rows(written(tmp_path, "path,label\n1.png,a\n"), layout="manifest", column="speaker")


def test_a_manifest_may_be_named_itself_and_begin_with_a_byte_order_mark(tmp_path) -> None:
    written(tmp_path, b"\xef\xbb\xbfpath,text\n1.png,a\n", "mine.csv")
    rows, _, _ = read_rows(tmp_path / "mine.csv")
    assert [row.text for row in rows] == ["a"]


def test_images_in_a_folder_are_named_after_their_texts(tmp_path) -> None:
    for name in ("two words.JPG", "abc.png", "notes.md"):
        (tmp_path / name).touch()
    rows, bad, _ = read_rows(tmp_path)
    assert [(r.file, r.row, r.text, r.split) for r in rows] == [
        (str(tmp_path), None, "abc", None),
        (str(tmp_path), None, "two words", None),
    ]
    assert bad == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,speaker,take\n1.png,a,1\n",
            r"no column named 'text' in the header 'path,speaker,take'; the first line must name",
        ),
        ("a;b;text\n1;2;a\n", r"no column named 'path' in the header 'a,b,text'"),
        ("path,text,text\n", r"more than one column for the text: text and text; name the right one 'text'"),
        ("path,label,words\n", r"more than one column for the text: label and words; name the right one 'text'"),
        ("", r"empty; write a header line path,text"),
        ("path,text\n\n", r"it has no rows; add one line for each image"),
        (b"path,text\n1.png,a\n2.png,\xe9\n", r"not UTF-8 \(byte 0xE9 in line 3\); save it again as UTF-8"),
        ("path,text\n".encode("utf-16"), r"not UTF-8 \(byte 0xFF in line 1\)"),
    ],
)
def test_an_unusable_csv_manifest_raises_with_what_to_do(tmp_path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"manifest\.csv: {message}"):
        read_rows(written(tmp_path, text))


def test_an_empty_jsonl_manifest_raises_with_what_to_do(tmp_path) -> None:
    with pytest.raises(DataError, match="it has no rows; add one line"):
        read_rows(written(tmp_path, "\n", "manifest.jsonl"))


def test_a_source_that_does_not_exist_is_reported(tmp_path) -> None:
    with pytest.raises(DataError, match="nowhere: no such file or folder; give the folder"):
        read_rows(tmp_path / "nowhere")


def test_a_source_of_another_kind_is_reported(tmp_path) -> None:
    with pytest.raises(DataError, match=r"a\.xml: expected a folder, or a \.csv, \.tsv, \.txt, \.json or"):
        read_rows(written(tmp_path, "x", "a.xml") / "a.xml")


def test_a_folder_without_images_raises_with_what_to_add(tmp_path) -> None:
    with pytest.raises(DataError, match=r"no images and no texts in it.*manifest\.csv or manifest\.jsonl \(manifest\)"):
        read_rows(written(tmp_path, "x", "a.md"))


def test_two_manifests_in_one_folder_are_ambiguous(tmp_path) -> None:
    written(written(tmp_path, "path,text\n"), "", "manifest.jsonl")
    with pytest.raises(DataError, match="pass the one to read"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1.png", "text is missing"),
        (",a", "path is empty"),
        ("1.png,", "1.png: the text is empty"),
        ("1.png,\u3000 ", "1.png: the text is empty"),
        ("1.png,a,b", "3 cells under 2 columns; put texts with commas in quotation marks"),
        ("\0,a", "\0: not a usable path (embedded null byte)"),
        ('1.png,"a"b', "broken CSV (',' expected after '\"'); close each quotation mark"),
    ],
)
def test_a_bad_csv_row_is_reported_and_the_next_is_read(tmp_path, line: str, reason: str) -> None:
    rows, bad, _ = read_rows(written(tmp_path, f"path,text\n{line}\n2.png,b\n"))
    assert [(row.row, row.text) for row in rows] == [(3, "b")]
    assert [row.row for row in bad] == [2]
    assert bad[0].reason.startswith(reason)
    assert bad[0].file == str(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"path": "1.png"', "broken JSON (Expecting ',' delimiter"),
        ("[" * 99999, "broken JSON (maximum recursion depth"),
        ('["1.png", "a"]', "not a JSON object"),
        ('{"path": "1.png"}', "text is missing"),
        ('{"path": 7, "text": "a"}', "path is 7, not a string"),
        ('{"path": "1.png", "text": 123}', "text is 123, not a string; put it in quotation marks"),
        ('{"path": "1.png", "text": null}', "text is missing"),
        ('{"path": "1.png", "text": "a\\ud800"}', "1.png: the text 'a\\\\ud800' is not Unicode"),
        ('{"path": "1.png", "text": "a", "split": 1}', "1.png: split is 1, not a string"),
    ],
)
def test_a_bad_json_line_is_reported_and_the_next_is_read(tmp_path, line: str, reason: str) -> None:
    text = f'{line}\n{{"path": "2.png", "text": "b"}}\n'
    rows, bad, _ = read_rows(written(tmp_path, text, "manifest.jsonl"))
    assert [(row.row, row.text) for row in rows] == [(2, "b")]
    assert [row.row for row in bad] == [1]
    assert bad[0].reason.startswith(reason)


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.png", "x/../../outside.png"])
def test_a_path_that_leaves_the_data_folder_is_reported(tmp_path, name: str) -> None:
    _, bad, _ = read_rows(written(tmp_path, f"path,text\n{name},a\n"))
    assert [row.row for row in bad] == [2]
    assert bad[0].reason.startswith(f"{name}: leads out of the data folder (")


def test_a_link_that_leaves_the_data_folder_is_reported(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.png").touch()
    (tmp_path / "data" / "1.png").symlink_to(tmp_path / "secret.png")
    _, bad, _ = read_rows(written(tmp_path / "data", "path,text\n1.png,a\n"))
    where = f"({tmp_path / 'secret.png'} is not under {tmp_path / 'data'}); it is a link: --follow-links reads it"
    assert reasons(bad) == [(2, f"1.png: leads out of the data folder {where}")]


def test_a_link_loop_is_reported(tmp_path) -> None:
    (tmp_path / "1.png").symlink_to(tmp_path / "1.png")
    _, bad, _ = read_rows(written(tmp_path, "path,text\n1.png,a\n"))
    assert bad[0].reason.startswith("1.png: not a usable path")


def test_a_data_folder_behind_a_link_is_read(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    written(tmp_path / "data", "path,text\n1.png,a\n")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    rows, bad, _ = read_rows(tmp_path / "link")
    assert ([row.path for row in rows], bad) == ([tmp_path / "data" / "1.png"], [])


def test_the_second_of_two_equal_paths_names_the_line_of_the_first(tmp_path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "1.png")
    rows, bad, _ = read_rows(written(tmp_path, "path,text\n1.png,a\nx/../1.png,b\nlink.png,c\n"))
    assert [row.text for row in rows] == ["a"]
    assert reasons(bad) == [
        (3, "1.png: the same image as line 2"),
        (4, "1.png: the same image as line 2"),
    ]


def test_a_file_name_that_is_not_utf8_is_reported_in_escapes(tmp_path) -> None:
    Path(tmp_path / "a\udcff.png").touch()
    _, bad, _ = read_rows(tmp_path)
    assert bad[0].reason.startswith(r"a\udcff.png: the text 'a\\udcff' is not Unicode")


def test_a_quotation_mark_that_is_never_closed_takes_no_other_row_with_it(tmp_path) -> None:
    source = written(tmp_path, 'path,text\n0.png,a\n1.png,"b\n2.png,c\n3.png,d\n')
    rows, bad, _ = read_rows(source)
    assert [row.text for row in rows] == ["a", "c", "d"]
    assert [(row.row, row.reason[:10]) for row in bad] == [(3, "broken CSV")]


def test_a_name_longer_than_any_file_system_takes_is_reported_beside_the_others(tmp_path) -> None:
    rows, bad, _ = read_rows(written(tmp_path, f"path,text\n{'x' * 5000}.png,a\n1.png,\n0.png,c\n"))
    assert [row.text for row in rows] == ["c"]
    assert len(bad) == 2


def test_a_manifest_that_is_a_link_out_of_its_folder_is_refused(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.csv").write_text("path,text\n")
    (tmp_path / "data" / "manifest.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(DataError, match="leads out of the data folder"):
        read_rows(tmp_path / "data")
