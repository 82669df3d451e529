"""Data of a text recogniser: images with their texts, vocabularies, synthetic words.

=============================  ============================================================================
`seqloss.data.rows`            `read_rows`: images or sounds and their texts, in any layout; invalid rows
`seqloss.data.layouts`         the layouts of data folders, a file for each
`seqloss.data.folder`          the files of a data folder
`seqloss.data.tables`          lines and cells of CSV, TSV, JSON Lines and text files
`seqloss.data.columns`         which columns hold names, texts and splits
`seqloss.data.item_names`      the files that names mean
`seqloss.data.paths`           image suffixes; paths that leave the data folder are rejected
`seqloss.data.splits`          `split_rows`: training, validation and test rows
`seqloss.data.texts`           `clean_text`: blanks around a text, line breaks, Unicode normal form
`seqloss.data.text_notes`      `clean_rows`, `TextNotes`: the same for all rows, and what was found in them
`seqloss.data.invisible`       characters that no picture shows, and their names
`seqloss.data.reading_order`   `ReadingOrder`: the order in which pictures show texts, and back
`seqloss.data.bidirectional`   the Unicode bidirectional algorithm
`seqloss.data.vocabulary`      `Vocabulary`: characters to classes and back; saved with the model
`seqloss.data.images`          `inspect_image`, `read_line`: check an image, or read it as a grey line
`seqloss.data.grey`            images in 8-bit grey, so that their ink stays visible
`seqloss.data.checks`          `check_rows`: checks all rows before training, reports all problems at once
`seqloss.data.skipped`         `write_skipped`: the skipped rows as a CSV file, safe for spreadsheets
`seqloss.data.atomic_write`    `write_atomically`: a file has its old content or all of the new one
`seqloss.data.words`           the embedded words and their splits
`seqloss.data.fonts`           the fonts of synthetic words
`seqloss.data.synthetic`       `SyntheticWords`, `render_word`: images of words, rendered on the fly
=============================  ============================================================================

Names are imported when they are first used, so that Pillow is imported only if needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloss.data.checks import Item, check_rows, make_rows_error
    from seqloss.data.images import inspect_image, read_line
    from seqloss.data.rows import Row, Rows, read_rows
    from seqloss.data.skipped import write_skipped
    from seqloss.data.splits import Splits, split_rows
    from seqloss.data.synthetic import SyntheticWords, render_word
    from seqloss.data.vocabulary import Vocabulary

__all__ = [
    "Item",
    "Row",
    "Rows",
    "Splits",
    "SyntheticWords",
    "Vocabulary",
    "check_rows",
    "inspect_image",
    "make_rows_error",
    "read_line",
    "read_rows",
    "render_word",
    "split_rows",
    "write_skipped",
]

_HOMES = {
    "checks": ("Item", "check_rows", "make_rows_error"),
    "images": ("inspect_image", "read_line"),
    "rows": ("Row", "Rows", "read_rows"),
    "synthetic": ("SyntheticWords", "render_word"),
    "skipped": ("write_skipped",),
    "splits": ("Splits", "split_rows"),
    "vocabulary": ("Vocabulary",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
