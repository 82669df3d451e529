"""Every guide opens with a picture, which loads nothing, and whose words can be read on a phone."""

from __future__ import annotations

import re

import pytest

from ..pages import DOCS, ROOT, read_page

GUIDES = [page for page in DOCS if page.startswith("docs/guides/")]
IMAGES = ROOT / "docs" / "img"
NAMES = sorted(file.stem for file in (ROOT / "benchmarks/guide_pictures").glob("[!_]*.py"))
DRAWINGS = sorted(file.name for file in IMAGES.glob("*.svg"))

PICTURE = re.compile(r"!\[[^]]*\]\(\.\./img/|<img [^>]*src=\"\.\./img/|<picture>")
WIDEST_FIGURE, WIDEST_TERMINAL = 6 * 72, 84 * 12.2 + 20
"""In points of a figure with words of 9 points; in the units of a terminal of 84 columns, with its margin."""

WIDE = {"ocr_frames", "speech_alignment"}
"""They need a training of an hour to be drawn anew, and their letters and shapes say what the small words say."""


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_opens_with_a_picture(page: str) -> None:
    opening = re.split(r"^(?:## |```|\|)", read_page(page), maxsplit=1, flags=re.MULTILINE)[0]
    assert PICTURE.search(opening)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_a_guide_is_drawn_and_shown(name: str) -> None:
    file = f"{name.replace('_', '-')}.svg"
    assert (IMAGES / file).is_file()
    assert any(f"../img/{file}" in read_page(page) for page in GUIDES)


@pytest.mark.parametrize("file", sorted(file.name for file in IMAGES.iterdir()))
def test_a_picture_is_on_a_page(file: str) -> None:
    assert any(f"img/{file}" in read_page(page) for page in ["README.md", *DOCS])


@pytest.mark.parametrize("file", DRAWINGS)
def test_a_drawing_loads_nothing(file: str) -> None:
    drawn = (IMAGES / file).read_text(encoding="utf-8")
    assert re.findall(r"@import|@font-face|url\((?!#)|<script|href=\"(?!#|data:)", drawn) == []


@pytest.mark.parametrize("name", sorted({*NAMES} - WIDE))
def test_the_words_of_a_picture_are_not_small_on_a_phone(name: str) -> None:
    drawn = (IMAGES / f"{name.replace('_', '-')}.svg").read_text(encoding="utf-8")
    width = float(re.search(r'viewBox="0 0 (\S+) ', drawn)[1])
    assert width <= (WIDEST_TERMINAL if "-matrix" in drawn else WIDEST_FIGURE)
