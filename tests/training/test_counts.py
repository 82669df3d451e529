"""One thing is counted in the singular, in the lines of a training and of the doctor."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, ImageDraw

from seqloss.doctor.folder.contents import FolderOptions
from seqloss.doctor.folder.examination import examine_folder
from seqloss.training.engine import overfit
from seqloss.training.settings import RunOptions

ONE_IN_THE_PLURAL = re.compile(r"(?<![\w.,:/-])1 (?:invalid |test |train |validation |training |adjacent )?[a-z]+s\b")


def write_one_of_each(folder: Path, rows: str = "") -> Path:
    """A folder with one image of each split."""
    folder.mkdir()
    lines = ["path,text,split"]
    for text, split in (("aa", "train"), ("a", "validation"), ("ab", "test")):
        image = Image.new("L", (40, 16), 255)
        ImageDraw.Draw(image).text((4, 2), text, fill=0)
        image.save(folder / f"{split}.png")
        lines.append(f"{split}.png,{text},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + f"\n{rows}", encoding="utf-8")
    return folder


def test_a_training_of_one_image_for_one_epoch_counts_each_in_the_singular(train, tmp_path: Path) -> None:
    data, lines = write_one_of_each(tmp_path / "data", "gone.png,a,train\n"), []
    train(data, tmp_path / "run", epochs=1, skip_bad=True, print_line=lines.append)
    printed = "\n".join(lines)
    for words in ("skipped 1 invalid row:", "; 1 epoch;", "1 target fits its frames", "(1 image, not used"):
        assert words in printed
    assert ONE_IN_THE_PLURAL.findall(printed) == []


def test_an_overfit_of_one_image_counts_it_in_the_singular(task_for, tmp_path: Path) -> None:
    lines: list[str] = []
    data = write_one_of_each(tmp_path / "data")
    overfit(task_for(data), 1, RunOptions(examine=False), print_line=lines.append)
    assert re.match(r"PASS: overfit 1 image in \d+ steps?: ", lines[-1])
    assert ONE_IN_THE_PLURAL.findall("\n".join(lines)) == []


def test_the_doctor_counts_one_row_in_the_singular(tmp_path: Path) -> None:
    data, lines = write_one_of_each(tmp_path / "data"), []
    Image.linear_gradient("L").resize((4, 16)).save(data / "narrow.png")
    with (data / "manifest.csv").open("a", encoding="utf-8") as file:
        file.write("narrow.png,aa,train\n")
    found = examine_folder(data, FolderOptions(), print_line=lines.append, progress=lambda done, total: None)
    printed = "\n".join([*lines, found.to_json()])
    assert "(2 labels + 1 adjacent repeat), has 2" in printed
    assert "1 of 4 targets needs more frames" in printed
    assert ONE_IN_THE_PLURAL.findall(printed) == []
