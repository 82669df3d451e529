"""Tables as spreadsheets, scripts and people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqloss.data.rows import read_rows
from seqloss.errors import DataError


def texts(folder: Path, content: str | bytes, name: str = "labels.csv", images: str = "a.png b.png") -> list[str]:
    for image in images.split():
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_rows(folder)
    assert found.bad == []
    return [row.text for row in found.rows]


@pytest.mark.parametrize(
    "content",
    [
        "filename;words\na.png;x,y\nb.png;z\n",
        '\ufefffilename,words\r\na.png,"x,y"\r\nb.png,z\r\n',
        'FILENAME,WORDS\na.png,"x,y"\nb.png,z\n',
        "Words\tFilename\nx,y\ta.png\nz\tb.png\n",
        "filename|words\na.png|x,y\nb.png|z\n",
        'id,file,speaker,Transcription\n1,a.png,x,"x,y"\n2,b.png,x,z\n',
        'a.png,"x,y"\nb.png,z\n',
        'bild;text\na.png;"x,y"\nb.png;z\n',
        'filename,inscription\na.png,"x,y"\nb.png,z\n',
    ],
)
def test_dialects_of_csv(content: str, tmp_path: Path) -> None:
    assert texts(tmp_path, content) == ["x,y", "z"]


def test_a_quoted_line_break_is_part_of_the_text(tmp_path: Path) -> None:
    assert texts(tmp_path, 'filename,words\na.png,"x\r\ny"\nb.png,z\n') == ["x\r\ny", "z"]


@pytest.mark.parametrize(
    "content",
    [
        "a.png\tx, y\nb.png\tz\n",
        "a.png, x, y\nb.png, z\n",
        'a.png, "x, y"\nb.png, "z"\n',
        "a.png x, y\nb.png z\n",
        "\ufeffa.png,x, y\r\n\r\nb.png,z",
        "filename,words\na.png,x, y\nb.png,z\n",
    ],
)
def test_lines_of_a_name_and_a_text(content: str, tmp_path: Path) -> None:
    assert [text.strip() for text in texts(tmp_path, content, "gt.txt")] == ["x, y", "z"]


def test_quotation_marks_of_some_texts_after_a_tab_are_kept(tmp_path: Path) -> None:
    assert texts(tmp_path, 'a.png\t"x"\nb.png\tz\n', "gt.txt") == ['"x"', "z"]


def test_escaped_quotation_marks_are_read(tmp_path: Path) -> None:
    assert texts(tmp_path, 'a.png, "\\"x\\""\nb.png, "y""z"\n', "gt.txt") == ['"x"', 'y"z']


def test_a_text_file_without_separators_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gt\.txt: found no comma or tab in line 1, 'apple'; write the name"):
        texts(tmp_path, "apple\npear\n", "gt.txt")


def test_three_columns_without_a_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no header, and 3 columns; write a first line that names"):
        texts(tmp_path, "a.png,x,y\n")


def test_backslashes_are_folders_where_such_a_file_exists(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("filename,words\ntrain\\a.png,x\ntrain\\b.png,y\n")
    for name in "ab":
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / f"{name}.png").touch()
    found = read_rows(tmp_path)
    assert [row.name for row in found.rows] == ["train/a.png", "train/b.png"]
    assert found.lines[1] == "names: 2 with backslashes, train\\a.png is read as train/a.png"


def test_a_file_whose_name_has_a_backslash_keeps_it(tmp_path: Path) -> None:
    assert texts(tmp_path, "filename,words\nx\\a.png,x\n", images="x\\a.png") == ["x"]
    assert len(read_rows(tmp_path).lines) == 1


def test_names_without_suffix_are_found(tmp_path: Path) -> None:
    assert texts(tmp_path, "filename,words\na,x\nb,y\n") == ["x", "y"]
    assert read_rows(tmp_path).lines[1] == "names: 2 without a suffix, a is read as a.png"


def test_images_in_another_folder_are_pointed_to_and_read_with_images(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        texts(tmp_path, "filename,words\na.png,x\nb.png,y\n", images="crops/a.png crops/b.png")
    assert str(refused.value).endswith(
        f"the images are not beside it; they are in crops: add --images {tmp_path / 'crops'}"
    )
    assert [row.path for row in read_rows(tmp_path, images=tmp_path / "crops").rows] == [
        tmp_path / "crops/a.png",
        tmp_path / "crops/b.png",
    ]


def test_a_folder_of_images_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--images .*/crops: no such folder"):
        read_rows(tmp_path, images=tmp_path / "crops")


def test_images_without_a_text_are_counted(tmp_path: Path) -> None:
    texts(tmp_path, "filename,words\na.png,x\n", images="a.png b.png more/c.png")
    assert read_rows(tmp_path).lines[1] == "not used: 2 images without a text, such as b.png"


def test_an_image_without_its_text_and_a_text_without_its_image_are_bad_rows(tmp_path: Path) -> None:
    for name in ("a.png", "a.gt.txt", "b.png", "c.gt.txt"):
        (tmp_path / name).write_text("x")
    found = read_rows(tmp_path)
    assert [row.name for row in found.rows] == ["a.png"]
    assert [(Path(row.file).name, row.reason) for row in found.bad] == [
        ("b.png", "no text beside it; write b.gt.txt, or remove the image"),
        ("c.gt.txt", "no image beside it; put it there, or remove the text"),
    ]


def test_a_text_beside_an_image_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "a.gt.txt").write_bytes(b"\xe9")
    assert read_rows(tmp_path).bad[0].reason == "not UTF-8 (byte 0xE9 in line 1); save it again as UTF-8."


@pytest.mark.parametrize("names", ["train/a.png val/b.png test/c.png", "Train/a.png Valid/b.png Test/c.png"])
def test_folders_named_after_splits_are_the_splits(names: str, tmp_path: Path) -> None:
    texts(tmp_path, "filename,words\n" + "".join(f"{name},x\n" for name in names.split()), images=names)
    found = read_rows(tmp_path)
    assert [row.split for row in found.rows] == ["train", "validation", "test"]
    assert found.lines[1].startswith(f"splits: the folders {names.split('/')[0]} (1), ")


def test_a_split_column_has_precedence_over_folders(tmp_path: Path) -> None:
    texts(
        tmp_path,
        "filename,words,split\ntrain/a.png,x,test\ntest/b.png,x,train\n",
        images="train/a.png test/b.png",
    )
    assert [row.split for row in read_rows(tmp_path).rows] == ["test", "train"]


def test_links_to_folders_are_named_and_read_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/pear.png").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/apple.png").touch()
    (tmp_path / "data/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/loop").symlink_to(tmp_path / "data")
    found = read_rows(tmp_path / "data")
    assert [row.text for row in found.rows] == ["apple"]
    assert found.lines[1] == "not read: 2 links to folders, such as loop; --follow-links reads them"
    found = read_rows(tmp_path / "data", follow_links=True)
    assert [(row.name, row.text) for row in found.rows] == [("apple.png", "apple"), ("more/pear.png", "pear")]
    assert len(found.lines) == 1


def test_following_links_never_follows_a_name_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/labels.csv").write_text("filename,words\n../x.png,x\n")
    found = read_rows(tmp_path / "data", follow_links=True)
    assert found.rows == []
    assert found.bad[0].reason.startswith("../x.png: leads out of the data folder")
