"""Each layout is recognised by its files, read with the right texts, and named in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqloss.data.folder import open_folder
from seqloss.data.layouts import LAYOUTS, layouts_of
from seqloss.data.layouts.choice import choose_layout
from seqloss.data.paths import IMAGES, SOUNDS, ItemKind
from seqloss.data.rows import read_rows

from .trees import TREES

EXPECTED: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "manifest_csv": (
        "manifest",
        {"images/1.png": "apple", "images/2.png": "pear", "images/3.png": "fig"},
        ["texts: manifest.csv, columns path and text"],
    ),
    "manifest_jsonl": (
        "manifest",
        {"1.png": "apple", "2.png": "pear", "3.png": "fig"},
        ["texts: manifest.jsonl, columns path and text"],
    ),
    "easyocr": (
        "labels",
        {"1.jpg": "apple", "2.jpg": "pear", "3.jpg": "fig"},
        ["texts: labels.csv, columns filename and words"],
    ),
    "paddleocr": (
        "labels",
        {"train/word_001.jpg": "apple", "train/word_002.jpg": "pear", "test/word_001.jpg": "fig"},
        ["texts: rec_gt_test.txt and rec_gt_train.txt, columns 1 and 2"],
    ),
    "icdar": (
        "labels",
        {"word_1.png": "apple", "word_2.png": "pear", "word_3.png": "fig"},
        ["texts: gt.txt, columns 1 and 2"],
    ),
    "labels_txt": (
        "labels",
        {"1.png": "apple", "2.png": "pear", "3.png": "fig"},
        ["texts: labels.txt, columns Image and Label"],
    ),
    "imagefolder_csv": (
        "metadata",
        {"train/0001.png": "apple", "train/0002.png": "pear", "test/0001.png": "fig"},
        ["texts: test/metadata.csv and train/metadata.csv, columns file_name and text"],
    ),
    "imagefolder_jsonl": (
        "metadata",
        {"1.png": "apple", "2.png": "pear", "3.png": "fig"},
        ["texts: metadata.jsonl, columns file_name and text"],
    ),
    "tesstrain": (
        "pairs",
        {"0001.tif": "apple", "0002.tif": "pear", "book/0003.tif": "fig"},
        ["texts: files *.gt.txt beside the images, such as 0001.gt.txt"],
    ),
    "kraken_binarised": (
        "pairs",
        {"010001.bin.png": "apple", "010002.bin.png": "pear", "010003.bin.png": "fig"},
        ["texts: files *.gt.txt beside the images, such as 010001.gt.txt"],
    ),
    "pairs_txt": (
        "pairs",
        {"1.png": "apple", "2.png": "pear", "3.png": "fig"},
        ["texts: files *.txt beside the images, such as 1.txt"],
    ),
    "label_number": (
        "label-number",
        {"apple_0.png": "apple", "pear_0.png": "pear", "fig_12.png": "fig"},
        ["texts are the file names before the last underscore: apple, fig, pear"],
    ),
    "mjsynth": (
        "mjsynth",
        {
            "mnt/ramdisk/max/90kDICT32px/2425/1/115_apple_3141.jpg": "apple",
            "mnt/ramdisk/max/90kDICT32px/2425/1/116_pear_5926.jpg": "pear",
            "mnt/ramdisk/max/90kDICT32px/2911/6/77_fig_5358.jpg": "fig",
        },
        [
            "texts: mnt/ramdisk/max/90kDICT32px/annotation_test.txt and "
            "mnt/ramdisk/max/90kDICT32px/annotation_train.txt, as in MJSynth"
        ],
    ),
    "mjsynth_names": (
        "mjsynth",
        {"1/1/180_apple_71000.jpg": "apple", "1/1/181_pear_71001.jpg": "pear", "1/2/182_fig_71002.jpg": "fig"},
        ["texts: the file names between the underscores, as in MJSynth"],
    ),
    "iam": (
        "iam",
        {"lines/a01/a01-000u/a01-000u-00.png": "apple fig", "lines/a01/a01-000u/a01-000u-02.png": "pear"},
        ["texts: ascii/lines.txt, as in IAM", "left out 1 image that ascii/lines.txt marks err"],
    ),
    "iam_words": (
        "iam",
        {"a01/a01-000u/a01-000u-00-00.png": "apple", "a01/a01-000u/a01-000u-00-01.png": "pear"},
        ["texts: words.txt, as in IAM", "left out 1 image that words.txt marks err"],
    ),
    "file_names": (
        "file-names",
        {"apple.png": "apple", "pear.png": "pear", "more/fig.png": "fig"},
        ["texts are the file names: apple, fig, pear"],
    ),
}


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_is_recognised_and_read(tree: str, tmp_path: Path) -> None:
    TREES[tree](tmp_path)
    layout, texts, lines = EXPECTED[tree]
    assert choose_layout(open_folder(tmp_path))[0].name == layout
    found = read_rows(tmp_path)
    assert {row.name: row.text for row in found.rows} == texts
    assert all(row.path.is_file() for row in found.rows)
    assert (found.bad, found.lines) == ([], lines)


@pytest.mark.parametrize("tree", TREES)
def test_naming_the_layout_reads_the_same(tree: str, tmp_path: Path) -> None:
    TREES[tree](tmp_path)
    assert read_rows(tmp_path, layout=EXPECTED[tree][0]) == read_rows(tmp_path)


@pytest.mark.parametrize("tree", ["paddleocr", "imagefolder_csv", "mjsynth"])
def test_the_files_of_splits_decide_the_splits(tree: str, tmp_path: Path) -> None:
    TREES[tree](tmp_path)
    assert {row.text: row.split for row in read_rows(tmp_path).rows} == {
        "apple": "train",
        "pear": "train",
        "fig": "test",
    }


def test_every_layout_has_a_tree() -> None:
    assert {layout for layout, _, _ in EXPECTED.values()} == {layout.name for layout in layouts_of(IMAGES)}
    assert set(EXPECTED) == set(TREES)


def test_layouts_read_sounds_as_well(tmp_path: Path) -> None:
    (tmp_path / "1.wav").touch()
    (tmp_path / "1.txt").write_text("hello")
    found = read_rows(tmp_path, kind=SOUNDS)
    assert [(row.name, row.text) for row in found.rows] == [("1.wav", "hello")]
    assert found.lines == ["texts: files *.txt beside the recordings, such as 1.txt"]


def test_the_layouts_have_names_of_their_own() -> None:
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


def test_every_layout_has_a_section_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs/guides/data.md").read_text()
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    names = [layout.name for layout in LAYOUTS]
    assert [heading for heading in headings if heading in names] == names
    assert re.findall(r"^\| \[`([\w-]+)`\]\(#\1\) \|", page, re.MULTILINE) == names


@pytest.mark.parametrize("kind", [IMAGES, SOUNDS])
def test_every_section_has_a_command_for_what_its_layout_is_for(kind: ItemKind) -> None:
    page = (Path(__file__).parents[3] / "docs/guides/data.md").read_text()
    command = {IMAGES: "seqloss train ocr --data FOLDER", SOUNDS: "seqloss train speech --data FOLDER"}[kind]
    sections = {section.partition("\n")[0]: section for section in page.split("\n## ")}
    assert [layout.name for layout in LAYOUTS if layout.kind is kind and command not in sections[layout.name]] == []
