"""The folders that docs/guides/data.md shows are read in the layout that their heading names, with the texts shown."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from seqloss.data.folder import open_folder
from seqloss.data.layouts.choice import choose_layout
from seqloss.data.paths import IMAGES, SOUNDS, ItemKind
from seqloss.data.rows import read_rows

from ..data.layouts import sound_trees, trees
from ..pages import Block, blocks_of
from .sections import heading_above

pytestmark = pytest.mark.skipif("KERAS_BACKEND" in os.environ, reason="no question of Keras' backend")
PAGE = "docs/guides/data.md"
SHOWN = [block for block in blocks_of(PAGE) if block.code.startswith("FOLDER")]


def build(block: Block, folder: Path) -> None:
    """Write the files of a folder on the page: a line has a path, and after two spaces a line of the file.

    An image or a sound has a line of the table that names it instead, which goes into the file above.
    A file of which no line is shown is left out.
    """
    root, *lines = block.code.splitlines()
    place = folder / root.partition("/")[2]
    written: dict[str, list[str]] = {}
    table = ""
    for line in lines:
        name, _, content = (part.strip() for part in re.sub(r" {2,}", "\0", line.strip()).partition("\0"))
        content = content.replace("<tab>", "\t")
        if name.lower().endswith((".png", ".jpg")):
            trees.draw(place / name, "apple")
        elif name.lower().endswith((".wav", ".flac", ".mp3")):
            sound_trees.record(place / name, "apple")
        else:
            table = name
        written.setdefault(table, []).append(content)
    for name, content in written.items():
        if name and any(content):
            trees.write(place / name, "".join(f"{line}\n" for line in content if line))


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: f"{block.line}")
def test_a_folder_on_the_page_is_read_as_its_heading_says(block: Block, tmp_path: Path) -> None:
    build(block, tmp_path)
    kind: ItemKind = SOUNDS if re.search(r"\.(wav|flac|mp3)\b", block.code, re.IGNORECASE) else IMAGES
    layout, _ = choose_layout(open_folder(tmp_path, kind=kind))
    assert layout.name == heading_above(block)
    rows = read_rows(tmp_path, kind=kind).rows
    assert rows
    assert all(row.text in block.code or row.text.split()[0] in block.code for row in rows)
