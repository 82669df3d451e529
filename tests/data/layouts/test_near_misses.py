"""Folders that are nearly in a layout: read with the right texts, or refused with advice that works."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from seqloss.data.paths import SOUNDS
from seqloss.data.rows import Rows, read_rows

from .trees import draw, refusal, write

NAMES = ("1.png", "2.png", "3.png")
TEXTS = ["apple", "pear", "fig"]


def draw_all(folder: Path, names: Iterable[str] = NAMES) -> None:
    for name in names:
        draw(folder / name, "x")


def table(names: Sequence[str] = NAMES, header: str = "filename,words\n") -> str:
    return header + "".join(f"{name},{text}\n" for name, text in zip(names, TEXTS, strict=True))


def follow(message: str) -> Rows:
    """Read what the message says: `--data` and `--images`, up to the end of each."""
    words = message.rstrip(".").split()
    options = {word: Path(value) for word, value in itertools.pairwise(words) if word.startswith("--")}
    return read_rows(options["--data"], images=options.get("--images"))


def texts_of(rows: Rows) -> list[str]:
    assert not rows.bad
    assert all(row.path.is_file() for row in rows.rows)
    return [row.text for row in rows.rows]


@pytest.mark.parametrize("line", ['{}, "{}, x"\n', '{},"{}, x"\n'])
def test_a_csv_text_in_quotation_marks_may_have_a_space_before_them(line: str, tmp_path: Path) -> None:
    draw_all(tmp_path, NAMES)
    write(tmp_path / "labels.csv", "".join(line.format(*pair) for pair in zip(NAMES, TEXTS, strict=True)))
    assert texts_of(read_rows(tmp_path)) == ["apple, x", "pear, x", "fig, x"]


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\r\n', "\ufeffSEP=;\n"])
def test_a_first_line_of_excel_declares_the_separator(first: str, tmp_path: Path) -> None:
    draw_all(tmp_path, NAMES)
    write(tmp_path / "labels.csv", first + "Filename;Words\r\n1.png;a, b\r\n2.png;c\r\n3.png\r\n")
    rows = read_rows(tmp_path)
    assert [row.text for row in rows.rows] == ["a, b", "c"]
    assert [(row.row, row.reason) for row in rows.bad] == [(5, "Words is missing")]


def test_texts_with_commas_may_stand_behind_a_name_and_a_space(tmp_path: Path) -> None:
    draw_all(tmp_path, NAMES)
    write(tmp_path / "gt.txt", "1.png one, two\n2.png three, four\n3.png five, six\n")
    assert texts_of(read_rows(tmp_path)) == ["one, two", "three, four", "five, six"]


@pytest.mark.parametrize("separator", ["\t", ",", " "])
def test_a_line_without_a_text_is_a_bad_row_and_hides_no_separator(separator: str, tmp_path: Path) -> None:
    draw_all(tmp_path, NAMES)
    write(tmp_path / "gt.txt", f"1.png{separator}a b, c\n2.png\n3.png{separator}d, e\n")
    rows = read_rows(tmp_path)
    assert [(row.name, row.text) for row in rows.rows] == [("1.png", "a b, c"), ("3.png", "d, e")]
    assert [(row.row, row.reason) for row in rows.bad] == [(2, "column 2 is missing")]


def test_an_empty_text_behind_a_tab_hides_no_separator(tmp_path: Path) -> None:
    draw_all(tmp_path, NAMES)
    write(tmp_path / "gt.txt", "1.png\ta\n2.png\t\n3.png\tb\n")
    assert [row.reason for row in read_rows(tmp_path).bad] == ["2.png: the text is empty"]


def test_names_in_another_case_or_normal_form_are_read_and_counted(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFD", name) for name in ("\xe9.PNG", "B.png", "c.png")]
    draw_all(tmp_path, names)
    write(tmp_path / "labels.csv", table(["\xe9.png", "b.png", "c.png"]))
    rows = read_rows(tmp_path)
    assert texts_of(rows) == TEXTS
    assert [row.name for row in rows.rows] == names
    assert rows.lines[1] == f"names: 2 in another case or Unicode form, \xe9.png is read as {names[0]}"


def test_a_name_that_fits_two_files_in_other_cases_is_not_guessed(tmp_path: Path) -> None:
    draw_all(tmp_path, ("A.png", "a.PNG", "2.png", "3.png"))
    if not (tmp_path / "A.png").exists() or (tmp_path / "a.png").exists():
        pytest.skip("the file system ignores case")
    write(tmp_path / "labels.csv", table(["a.png", "2.png", "3.png"]))
    assert not read_rows(tmp_path).rows[0].path.exists()


def test_pairs_in_upper_case_are_read(tmp_path: Path) -> None:
    draw_all(tmp_path, ("1.PNG", "2.PNG"))
    write(tmp_path / "1.TXT", "apple")
    write(tmp_path / "2.TXT", "pear")
    assert texts_of(read_rows(tmp_path)) == ["apple", "pear"]


def test_names_as_in_mjsynth_without_subfolders_fit_two_layouts(tmp_path: Path) -> None:
    draw_all(tmp_path, ("1_Apple_10.png", "2_Pear_11.png"))
    assert "two layouts fit: mjsynth (1_Apple_10.png and 1 more) and label-number" in refusal(tmp_path)
    assert texts_of(read_rows(tmp_path, layout="mjsynth")) == ["Apple", "Pear"]
    assert texts_of(read_rows(tmp_path, layout="label-number")) == ["1_Apple", "2_Pear"]


def test_the_folder_above_the_splits_is_pointed_to_and_not_one_of_them(tmp_path: Path) -> None:
    for split in ("test", "train"):
        draw_all(tmp_path / "data" / split, NAMES)
        write(tmp_path / "data" / split / "metadata.csv", table(header="file_name,text\n"))
    message = refusal(tmp_path)
    assert message == f"{tmp_path}: the texts are in data; give --data {tmp_path / 'data'}"
    assert {row.split for row in follow(message).rows} == {"test", "train"}


def test_texts_in_one_folder_and_images_in_another_are_pointed_to(tmp_path: Path) -> None:
    draw_all(tmp_path / "images", NAMES)
    write(tmp_path / "annotations/labels.csv", table([f"images/{name}" for name in NAMES]))
    assert texts_of(follow(refusal(tmp_path))) == TEXTS


def test_text_files_in_a_folder_beside_that_of_the_images_are_pointed_to(tmp_path: Path) -> None:
    draw_all(tmp_path / "images", NAMES)
    for name, text in zip(NAMES, TEXTS, strict=True):
        write(tmp_path / "labels" / name.replace("png", "txt"), text)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: the texts of images are in labels; give --data ")
    assert texts_of(follow(message)) == TEXTS


def test_the_table_of_the_training_split_is_named_first(tmp_path: Path) -> None:
    for split in ("test", "train", "validation"):
        draw_all(tmp_path / split, NAMES)
        write(tmp_path / f"written_name_{split}_v2.csv", table(header="FILENAME,IDENTITY\n"))
    assert f"give --data {tmp_path / 'written_name_train_v2.csv'};" in refusal(tmp_path)


def test_both_files_of_iam_are_named_with_the_folder_of_the_images(tmp_path: Path) -> None:
    draw_all(tmp_path, ("lines/a01/a01-000u/a01-000u-00.png", "words/a01/a01-000u/a01-000u-00-00.png"))
    write(tmp_path / "ascii/lines.txt", "a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE\n")
    write(tmp_path / "ascii/words.txt", "a01-000u-00-00 ok 154 408 768 27 51 AT A\n")
    assert texts_of(follow(refusal(tmp_path))) == ["A MOVE"]


def test_names_that_begin_with_the_data_folder_lead_to_images(tmp_path: Path) -> None:
    draw_all(tmp_path / "rec/train", NAMES)
    write(tmp_path / "rec/gt.txt", table([f"rec/train/{name}" for name in NAMES], header=""))
    message = refusal(tmp_path / "rec")
    assert message.endswith(f"every name begins with rec/, the folder of the images itself: add --images {tmp_path}")
    assert texts_of(read_rows(tmp_path / "rec", images=tmp_path)) == TEXTS


@pytest.mark.parametrize("prefix", ["/content/drive/data/", "C:\\Users\\me\\", "old/"])
def test_a_prefix_of_another_machine_is_named(prefix: str, tmp_path: Path) -> None:
    draw_all(tmp_path / "images", NAMES)
    write(tmp_path / "labels.csv", table([f"{prefix}images/{name}" for name in NAMES]))
    assert f"every name begins with {prefix}, which is not in {tmp_path}; remove {prefix}" in refusal(tmp_path)


def test_splits_with_the_same_names_are_not_pointed_to_one_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        draw_all(tmp_path / split, NAMES)
        write(tmp_path / f"labels_{split}.csv", table())
    message = refusal(tmp_path)
    assert "1.png stands for several images, such as train/1.png" in message
    assert "put each file of texts into the folder of its images, such as train/labels.csv" in message
    for split in ("train", "val"):
        (tmp_path / f"labels_{split}.csv").rename(tmp_path / split / "labels.csv")
    assert texts_of(read_rows(tmp_path)) == TEXTS * 2


@pytest.mark.parametrize("name", ["1.PHN", "1.txt"])
def test_the_reason_of_an_unreadable_text_does_not_repeat_its_path(name: str, tmp_path: Path) -> None:
    """In a folder whose name has a colon and a space, behind a link."""
    folder = tmp_path / "a: b"
    write(folder / "1.wav", "")
    write(folder / name, b"\xff")
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, tmp_path / "link"):
        rows = read_rows(place, kind=SOUNDS, phones=True)
        assert [row.reason for row in rows.bad] == ["not UTF-8 (byte 0xFF in line 1); save it again as UTF-8."]
