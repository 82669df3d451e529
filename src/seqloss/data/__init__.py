"""What a recogniser learns from: images with their texts, vocabularies, synthetic words that need no files.

=============================  ============================================================================
`seqloss.data.manifest`        `read_rows`: a manifest, or a folder of images, as rows; bad rows apart
`seqloss.data.records`         the lines of a manifest: CSV, JSON Lines, or file names
`seqloss.data.paths`           which files are images, and which leave the data folder
`seqloss.data.splits`          `split_rows`: which rows train, validate and test
`seqloss.data.vocabulary`      `Vocabulary`: characters to classes and back, saved with the model
`seqloss.data.images`          `inspect_image`, `read_line`: one image, looked at or read as a grey line
`seqloss.data.checks`          `check_rows`: checks every row before training, reports all problems at once
`seqloss.data.skipped`         `write_skipped`: the rows left out, as a CSV file that a spreadsheet won't run
`seqloss.data.atomic_write`    `write_atomically`: a file is the old one or the whole new one
`seqloss.data.words`           the embedded words and their split
`seqloss.data.fonts`           the fonts of synthetic words
`seqloss.data.synthetic`       `SyntheticWords`, `render_word`: images of words, rendered on the fly
=============================  ============================================================================

The names below are loaded when first asked for, so that Pillow is imported only where it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloss.data.checks import Item, check_rows, refuse
    from seqloss.data.images import inspect_image, read_line
    from seqloss.data.manifest import Row, read_rows
    from seqloss.data.skipped import write_skipped
    from seqloss.data.splits import Splits, split_rows
    from seqloss.data.synthetic import SyntheticWords, render_word
    from seqloss.data.vocabulary import Vocabulary

__all__ = [
    "Item",
    "Row",
    "Splits",
    "SyntheticWords",
    "Vocabulary",
    "check_rows",
    "inspect_image",
    "read_line",
    "read_rows",
    "refuse",
    "render_word",
    "split_rows",
    "write_skipped",
]

_HOMES = {
    "checks": ("Item", "check_rows", "refuse"),
    "images": ("inspect_image", "read_line"),
    "manifest": ("Row", "read_rows"),
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
