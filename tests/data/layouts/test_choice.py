"""Nothing is guessed: two layouts, or none, are reported with the command that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.rows import read_rows
from seqloss.errors import OptionError

from .trees import TREES, draw, draw_all, refusal, write


def test_two_layouts_are_refused_by_name_and_either_can_be_chosen(tmp_path: Path) -> None:
    TREES["easyocr"](tmp_path)
    for number, text in enumerate(("APPLE", "PEAR", "FIG"), 1):
        write(tmp_path / f"{number}.gt.txt", text)
    assert refusal(tmp_path) == (
        f"{tmp_path}: two layouts fit: labels (labels.csv) and pairs (1.gt.txt and 2 more); choose one with --layout "
        "labels or --layout pairs."
    )
    assert [row.text for row in read_rows(tmp_path, layout="labels").rows] == ["apple", "pear", "fig"]
    assert [row.text for row in read_rows(tmp_path, layout="pairs").rows] == ["APPLE", "PEAR", "FIG"]


def test_a_manifest_has_precedence_over_texts_beside_images(tmp_path: Path) -> None:
    TREES["manifest_csv"](tmp_path)
    write(tmp_path / "images/1.txt", "other")
    assert [row.text for row in read_rows(tmp_path).rows] == ["apple", "pear", "fig"]


def test_a_manifest_beside_another_table_is_refused(tmp_path: Path) -> None:
    TREES["manifest_csv"](tmp_path)
    write(tmp_path / "labels.csv", "filename,words\nimages/1.png,x\n")
    assert "two layouts fit: manifest (manifest.csv) and labels (labels.csv)" in refusal(tmp_path)


def test_two_files_of_one_layout_are_refused_and_one_can_be_named(tmp_path: Path) -> None:
    TREES["easyocr"](tmp_path)
    write(tmp_path / "labels.txt", "1.jpg\tx\n")
    assert refusal(tmp_path) == (
        f"{tmp_path}: has labels.csv and labels.txt; pass the one to read, as --data {tmp_path / 'labels.csv'}."
    )
    assert [row.text for row in read_rows(tmp_path / "labels.txt").rows] == ["x"]


READABLE = ("words.csv", "notes.txt", "list.tsv")
UNREADABLE = ("annotations.json", "1.xml", "labels.xlsx", "traindata.mat", "train.parquet")


@pytest.mark.parametrize("names", [("0000", "0001", "0002"), ("1009_1", "1009_2", "1011_1")])
@pytest.mark.parametrize("name", [*READABLE, *UNREADABLE])
def test_a_folder_with_a_file_that_may_hold_texts_is_not_read_by_file_names(
    name: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    draw_all(tmp_path, [f"{image}.png" for image in names])
    write(tmp_path / name, f"{names[0]}.png,apple\n")
    message = refusal(tmp_path)
    assert f"It has {name}, so the file names are not taken as texts" in message
    assert f"to train on the file names ({', '.join(names)}), add --layout file-names" in message
    assert (f"give --data {tmp_path / name}" in message) == ("--data" in message) == (name in READABLE)
    assert [row.text for row in read_rows(tmp_path, layout="file-names").rows] == list(names)


def test_any_table_can_be_named(tmp_path: Path) -> None:
    draw_all(tmp_path)
    write(tmp_path / "words.tsv", 'file\ttext\n1.png\t"apple"\n2.png\tpear\n')
    assert [row.text for row in read_rows(tmp_path / "words.tsv").rows] == ['"apple"', "pear"]


def test_texts_in_a_subfolder_are_pointed_to(tmp_path: Path) -> None:
    TREES["easyocr"](tmp_path / "set")
    assert refusal(tmp_path) == f"{tmp_path}: the texts are in set; give --data {tmp_path / 'set'}"


def test_a_series_of_numbered_images_is_not_read_as_one_text(tmp_path: Path) -> None:
    draw_all(tmp_path, ("img_1.png", "img_2.png", "img_3.png"))
    assert read_rows(tmp_path).lines == ["texts are the file names: img_1, img_2, img_3"]


def test_more_than_three_file_names_are_abbreviated(tmp_path: Path) -> None:
    for number in range(5):
        draw(tmp_path / f"{number:04}.png", "x")
    assert read_rows(tmp_path).lines == ["texts are the file names: 0000, 0001, 0002, ..."]


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--layout: found 'coco', expected one of manifest, labels, metadata, pairs"):
        read_rows(tmp_path, layout="coco")


def test_a_layout_that_the_folder_does_not_have_is_refused(tmp_path: Path) -> None:
    TREES["easyocr"](tmp_path)
    assert f"{tmp_path}: --layout pairs expects N.gt.txt or N.txt beside each image N.png, found none" in refusal(
        tmp_path, layout="pairs"
    )


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    TREES["file_names"](tmp_path)
    draw(tmp_path / ".ipynb_checkpoints/x.png", "x")
    draw(tmp_path / "__MACOSX/._apple.png", "x")
    write(tmp_path / ".notes.txt", "x")
    assert len(read_rows(tmp_path).rows) == 3
