"""Data folders in the shape that people have them, one for each layout, with images of three short texts.

python -m tests.data.layouts.trees FOLDER builds all of them, to try commands on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from seqloss.data.rows import read_rows
from seqloss.errors import DataError

TEXTS = ("apple", "pear", "fig")


def draw(path: Path, text: str) -> None:
    from PIL import Image, ImageDraw

    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (20 + 8 * len(text), 16), 255)
    ImageDraw.Draw(image).text((4, 2), text, fill=0)
    image.save(path)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def draw_all(folder: Path, names: Iterable[str] = ("1.png", "2.png", "3.png")) -> None:
    for name, text in zip(names, TEXTS, strict=True):
        draw(folder / name, text)


def refusal(source: Path, **options: object) -> str:
    """The message with which a data set is refused."""
    with pytest.raises(DataError) as refused:
        read_rows(source, **options)
    return str(refused.value)


def manifest_csv(folder: Path) -> None:
    draw_all(folder / "images")
    write(folder / "manifest.csv", "path,text\nimages/1.png,apple\nimages/2.png,pear\nimages/3.png,fig\n")


def manifest_jsonl(folder: Path) -> None:
    draw_all(folder)
    lines = (json.dumps({"path": f"{n}.png", "text": text}) for n, text in enumerate(TEXTS, 1))
    write(folder / "manifest.jsonl", "\n".join(lines) + "\n")


def easyocr(folder: Path) -> None:
    """labels.csv with the columns filename and words, beside the images."""
    draw_all(folder, ("1.jpg", "2.jpg", "3.jpg"))
    write(folder / "labels.csv", "filename,words\n1.jpg,apple\n2.jpg,pear\n3.jpg,fig\n")


def paddleocr(folder: Path) -> None:
    """rec_gt_train.txt and rec_gt_test.txt, with tabs, beside train/ and test/."""
    draw_all(folder, ("train/word_001.jpg", "train/word_002.jpg", "test/word_001.jpg"))
    write(folder / "rec_gt_train.txt", "train/word_001.jpg\tapple\ntrain/word_002.jpg\tpear\n")
    write(folder / "rec_gt_test.txt", "test/word_001.jpg\tfig\n")


def icdar(folder: Path) -> None:
    """gt.txt with a byte order mark, commas, spaces and quotation marks."""
    draw_all(folder, ("word_1.png", "word_2.png", "word_3.png"))
    write(folder / "gt.txt", '\ufeffword_1.png, "apple"\r\nword_2.png, "pear"\r\nword_3.png, "fig"\r\n')


def labels_txt(folder: Path) -> None:
    """labels.txt with a header."""
    draw_all(folder)
    write(folder / "labels.txt", "Image\tLabel\n1.png\tapple\n2.png\tpear\n3.png\tfig\n")


def imagefolder_csv(folder: Path) -> None:
    """Hugging Face: metadata.csv in the folder of each split."""
    draw_all(folder, ("train/0001.png", "train/0002.png", "test/0001.png"))
    write(folder / "train/metadata.csv", "file_name,text\n0001.png,apple\n0002.png,pear\n")
    write(folder / "test/metadata.csv", "file_name,text\n0001.png,fig\n")


def imagefolder_jsonl(folder: Path) -> None:
    draw_all(folder)
    lines = (json.dumps({"file_name": f"{n}.png", "text": text}) for n, text in enumerate(TEXTS, 1))
    write(folder / "metadata.jsonl", "\n".join(lines) + "\n")


def tesstrain(folder: Path) -> None:
    """N.gt.txt beside each image."""
    draw_all(folder, ("0001.tif", "0002.tif", "book/0003.tif"))
    for name, text in zip(("0001", "0002", "book/0003"), TEXTS, strict=True):
        write(folder / f"{name}.gt.txt", text + "\n")


def kraken_binarised(folder: Path) -> None:
    """N.gt.txt for N.bin.png."""
    draw_all(folder, ("010001.bin.png", "010002.bin.png", "010003.bin.png"))
    for number, text in enumerate(TEXTS, 1):
        write(folder / f"01000{number}.gt.txt", text + "\r\n")


def pairs_txt(folder: Path) -> None:
    """N.txt beside each image."""
    draw_all(folder)
    for number, text in enumerate(TEXTS, 1):
        write(folder / f"{number}.txt", text)


def label_number(folder: Path) -> None:
    draw_all(folder, ("apple_0.png", "pear_0.png", "fig_12.png"))


def mjsynth(folder: Path) -> None:
    """Nested folders, lexicon.txt, and an annotation file for each split."""
    root = folder / "mnt/ramdisk/max/90kDICT32px"
    names = ("2425/1/115_apple_3141.jpg", "2425/1/116_pear_5926.jpg", "2911/6/77_fig_5358.jpg")
    draw_all(root, names)
    write(root / "lexicon.txt", "apple\npear\nfig\n")
    write(root / "annotation_train.txt", f"./{names[0]} 3141\n./{names[1]} 5926\n")
    write(root / "annotation_test.txt", f"./{names[2]} 5358\n")


def mjsynth_names(folder: Path) -> None:
    """A part of MJSynth without its annotation files."""
    draw_all(folder, ("1/1/180_apple_71000.jpg", "1/1/181_pear_71001.jpg", "1/2/182_fig_71002.jpg"))


IAM_LINES = """\
#--- lines.txt ---------------------------------------------------------------#
#
# format: a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop
#
a01-000u-00 ok 154 19 408 746 1661 89 apple|fig
a01-000u-01 err 156 19 395 932 1850 105 |
a01-000u-02 ok 157 16 408 1106 1986 105 pear
"""


def iam(folder: Path) -> None:
    """ascii/ with lines.txt and words.txt, and the images of the lines only."""
    for name, text in (("00", "apple fig"), ("01", "x"), ("02", "pear")):
        draw(folder / f"lines/a01/a01-000u/a01-000u-{name}.png", text)
    write(folder / "ascii/lines.txt", IAM_LINES)
    write(folder / "ascii/words.txt", "#\na01-000u-00-00 ok 154 408 768 27 51 NN apple\n")


def iam_words(folder: Path) -> None:
    """words.txt beside the folders of the forms."""
    draw(folder / "a01/a01-000u/a01-000u-00-00.png", "apple")
    draw(folder / "a01/a01-000u/a01-000u-00-01.png", "pear")
    draw(folder / "a01/a01-000u/a01-000u-00-02.png", "x")
    lines = ("00 ok 154 408 768 27 51 NN apple", "01 ok 154 507 766 213 48 NN pear", "02 err 154 796 764 70 50 TO to")
    write(folder / "words.txt", "".join(f"a01-000u-00-{line}\n" for line in lines))


def file_names(folder: Path) -> None:
    draw_all(folder, ("apple.png", "pear.png", "more/fig.png"))


TREES: Mapping[str, Callable[[Path], None]] = {
    tree.__name__: tree
    for tree in (
        manifest_csv, manifest_jsonl, easyocr, paddleocr, icdar, labels_txt, imagefolder_csv, imagefolder_jsonl,
        tesstrain, kraken_binarised, pairs_txt, label_number, mjsynth, mjsynth_names, iam, iam_words, file_names,
    )
}  # fmt: skip

if __name__ == "__main__":
    for name, tree in TREES.items():
        tree(Path(sys.argv[1]) / name)
        print(Path(sys.argv[1]) / name)
