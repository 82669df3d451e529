"""Every row looked at before training: all that is wrong, at once, with file, row and reason."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seqloss.data.checks import Item, check_rows, describe_tall_images, make_rows_error
from seqloss.data.rows import Row, read_rows
from seqloss.data.vocabulary import Vocabulary
from seqloss.errors import BadRow

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def quarter(width: int) -> int:
    return width // 4


def row(folder: Path, line: int, text: str, width: int = 200, height: int = 50) -> Row:
    path = folder / f"{line}.png"
    if width:
        pixels = np.zeros((height, width), np.uint8)
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(path)
    return Row("m.csv", line, path, text, None, path.name)


def checked(rows: list[Row], bad: tuple[BadRow, ...] = (), letters: str | None = None) -> tuple[list[Item], list]:
    vocabulary = None if letters is None else Vocabulary.from_texts([letters])
    items, found = check_rows(rows, bad, vocabulary=vocabulary, frames=quarter, height=32)
    return items, [(row.row, row.reason) for row in found]


def test_a_good_row_has_its_scaled_width_and_frames(tmp_path) -> None:
    good = row(tmp_path, 2, "abc")
    assert checked([good], letters="abc") == ([Item(good, width=128, frames=32, target="abc")], [])


def test_a_text_too_long_for_its_frames_is_reported_with_the_numbers(tmp_path) -> None:
    rows = [row(tmp_path, 2, "aabbbb", 50), row(tmp_path, 3, "abcdefgh", 50)]
    items, found = checked(rows)
    assert [item.row.row for item in items] == [3]
    assert found == [
        (
            2,
            "2.png: the text needs 10 frames (6 labels + 4 adjacent repeats), has 8 "
            "(image 50 x 50, scaled to 32 x 32, one frame per 4 pixels); it would fit with --height 48",
        )
    ]


HINT = "; if the text runs upwards or downwards, turn the images with --rotate 90 or --rotate 270"


def test_a_text_too_long_for_a_tall_image_is_reported_with_the_option_that_turns_it(tmp_path) -> None:
    _, found = checked([row(tmp_path, 2, "abcdef", 40, 200), row(tmp_path, 3, "abcdefghijkl", 50, 40)])
    assert found[0] == (
        2,
        "2.png: the text needs 6 frames (6 labels + 0 adjacent repeats), has 1 "
        f"(image 40 x 200, scaled to 6 x 32, one frame per 4 pixels); it would fit with --height 128{HINT}",
    )
    assert "--rotate" not in found[1][1]


def test_a_turned_image_is_checked_as_it_is_read(tmp_path) -> None:
    tall = row(tmp_path, 2, "abcdef", 40, 200)
    items, bad = check_rows([tall], vocabulary=None, frames=quarter, height=32, rotate=90)
    assert ([(item.width, item.frames) for item in items], bad) == ([(160, 40)], [])


def test_tall_images_with_several_letters_are_counted_in_a_line(tmp_path) -> None:
    sizes = [("abc", 40, 200), ("ab", 40, 200), ("abc", 40, 70), ("abcd", 40, 300), ("abc", 200, 40)]
    rows = [row(tmp_path, line, text, *size) for line, (text, *size) in enumerate(sizes)]
    items, _ = check_rows(rows, vocabulary=None, frames=lambda width: width, height=32)
    assert list(describe_tall_images(items, 32)) == [
        f"images: 2 of 5 are more than twice as high as wide (such as 0.png, 'abc'){HINT}"
    ]
    assert list(describe_tall_images(items[1:3], 32)) == []


def test_frames_and_characters_are_checked_in_the_order_of_the_picture(tmp_path) -> None:
    rows = [row(tmp_path, 2, "abab", 25), row(tmp_path, 3, "abc", 25)]
    vocabulary = Vocabulary.from_texts(["ab"])
    items, bad = check_rows(
        rows,
        vocabulary=vocabulary,
        frames=quarter,
        height=32,
        to_target=lambda text: "".join(sorted(text)).replace("c", "b"),
    )
    assert [item.target for item in items] == ["abb"]
    assert [row.reason for row in bad] == [
        "2.png: the text needs 6 frames (4 labels + 2 adjacent repeats), has 4 "
        "(image 25 x 50, scaled to 16 x 32, one frame per 4 pixels); it would fit with --height 48" + HINT
    ]


def test_an_unknown_character_is_reported_by_code_point_and_name(tmp_path) -> None:
    _, found = checked([row(tmp_path, 2, "aßa\u0301")], letters="a")
    assert found == [
        (
            2,
            "2.png: not in the vocabulary: 'ß' (U+00DF LATIN SMALL LETTER SHARP S), "
            "'á' (U+00E1 LATIN SMALL LETTER A WITH ACUTE)",
        )
    ]


def test_without_a_vocabulary_no_character_is_unknown(tmp_path) -> None:
    assert checked([row(tmp_path, 2, "ß")])[1] == []


def test_an_image_too_wide_after_scaling_is_reported(tmp_path) -> None:
    _, found = checked([row(tmp_path, 2, "a", 300, 1)])
    assert found == [(2, "2.png: too wide: image 300 x 1, scaled to 9600 x 32, at most 8192 wide; cut it into lines")]


def test_all_bad_rows_are_reported_together_in_the_order_of_the_file(tmp_path) -> None:
    rows = [row(tmp_path, 2, "a", 0), row(tmp_path, 3, "a"), row(tmp_path, 5, "b", 0)]
    items, found = checked(rows, (BadRow("m.csv", 4, "text is missing"),), letters="a")
    assert [item.row.row for item in items] == [3]
    assert found == [
        (2, "2.png: no such file"),
        (4, "text is missing"),
        (5, "5.png: not in the vocabulary: 'b' (U+0062 LATIN SMALL LETTER B); no such file"),
    ]


def test_an_image_is_refused_without_a_warning_of_pillows(tmp_path) -> None:
    huge = row(tmp_path, 2, "a", 0)
    huge.path.write_bytes(b"P5 10000 10000 255\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, found = checked([huge])
    assert found == [(2, "2.png: huge image: 10000 x 10000, at most 50,000,000 pixels; scale it down")]


def test_progress_counts_every_row(tmp_path) -> None:
    seen: list[tuple[int, int]] = []
    rows = [row(tmp_path, 2, "a"), row(tmp_path, 3, "a", 0)]
    check_rows(rows, vocabulary=None, frames=quarter, height=32, progress=lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]


def test_the_refusal_carries_all_rows_and_shows_the_first_twenty() -> None:
    bad = [BadRow("m.csv", line, "no such file") for line in range(2, 27)]
    error = make_rows_error(bad)
    assert error.rows == bad
    assert str(error).startswith("25 rows cannot be used; fix or remove them, or skip them with --skip-bad:\n")
    assert "  m.csv, line 21: no such file\n  and 5 more" in str(error)


def test_the_refusal_of_a_folders_image_names_no_line() -> None:
    assert str(make_rows_error([BadRow("images", None, "1.png: no such file")])).endswith("images: 1.png: no such file")


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data beside this checkout")
@pytest.mark.parametrize(("name", "count"), [("captcha", 936), ("ocr_lines", 587)])
def test_every_row_of_the_shared_data_can_be_used(name: str, count: int) -> None:
    rows, bad, _ = read_rows(SHARED / name)
    items, found = check_rows(rows, bad, vocabulary=None, frames=quarter, height=32)
    assert (len(items), found) == (count, [])
