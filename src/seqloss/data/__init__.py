"""Data of a text or speech recogniser: images or sounds with their texts, vocabularies, synthetic words.

=============================  ============================================================================
`seqloss.data.rows`            `read_rows`: images or sounds and their texts, in any layout; invalid rows
`seqloss.data.layouts`         the layouts of data folders, a file for each
`seqloss.data.folder`          the files of a data folder
`seqloss.data.tables`          lines and cells of CSV, TSV, JSON Lines and text files
`seqloss.data.columns`         which columns hold names, texts and splits
`seqloss.data.item_names`      the files that names mean
`seqloss.data.paths`           suffixes; paths that leave the data folder are rejected
`seqloss.data.splits`          `split_rows`: training, validation and test rows
`seqloss.data.texts`           `clean_text`: spaces around a text, line breaks, Unicode normal form
`seqloss.data.text_notes`      `clean_rows`, `TextNotes`: the same for all rows, and what was found in them
`seqloss.data.invisible`       characters that no picture shows, and their names
`seqloss.data.reading_order`   `ReadingOrder`: the order in which pictures show texts, and back
`seqloss.data.bidirectional`   the Unicode bidirectional algorithm
`seqloss.data.vocabulary`      `Vocabulary`: characters to classes and back; saved with the model
`seqloss.data.images`          `inspect_image`, `read_line`: check an image, or read it as a grey line
`seqloss.data.grey`            images in 8-bit grey, so that their ink stays visible
`seqloss.data.sounds`          `inspect_sound`, `read_sound`, `SoundCache`: check a sound, or read its samples
`seqloss.data.feature_files`   `inspect_features`, `read_features`: the same for features in .npy and .mfc
`seqloss.data.spec_augment`    `SpecAugment`: random stripes of time and frequency that are masked
`seqloss.data.checks`          `check_rows`: checks all rows before training, reports all problems at once
`seqloss.data.skipped`         `write_skipped`: the skipped rows as a CSV file, safe for spreadsheets
`seqloss.data.atomic_write`    `write_atomically`: a file has its old content or all of the new one
`seqloss.data.words`           `split_words`: the embedded words of a split
`seqloss.data.fonts`           the fonts of synthetic words
`seqloss.data.synthetic`       `SyntheticWords`, `render_word`: images of words, rendered on the fly
=============================  ============================================================================

Names are imported when they are first used, so that Pillow, soundfile and soxr are imported only if needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloss.data.checks import Item, check_rows, make_rows_error
    from seqloss.data.feature_files import inspect_features, read_features
    from seqloss.data.images import inspect_image, read_line
    from seqloss.data.reading_order import ReadingOrder
    from seqloss.data.rows import Row, Rows, read_rows
    from seqloss.data.skipped import write_skipped
    from seqloss.data.sounds import SoundCache, SoundInfo, inspect_sound, read_sound, sound_blocks
    from seqloss.data.spec_augment import SpecAugment
    from seqloss.data.splits import Splits, split_rows
    from seqloss.data.synthetic import SyntheticWords, render_word
    from seqloss.data.vocabulary import Vocabulary
    from seqloss.data.windows import cut_windows
    from seqloss.data.words import split_words

__all__ = [
    "Item",
    "ReadingOrder",
    "Row",
    "Rows",
    "SoundCache",
    "SoundInfo",
    "SpecAugment",
    "Splits",
    "SyntheticWords",
    "Vocabulary",
    "check_rows",
    "cut_windows",
    "inspect_features",
    "inspect_image",
    "inspect_sound",
    "make_rows_error",
    "read_features",
    "read_line",
    "read_rows",
    "read_sound",
    "render_word",
    "sound_blocks",
    "split_rows",
    "split_words",
    "write_skipped",
]

_HOMES = {
    "checks": ("Item", "check_rows", "make_rows_error"),
    "feature_files": ("inspect_features", "read_features"),
    "images": ("inspect_image", "read_line"),
    "reading_order": ("ReadingOrder",),
    "rows": ("Row", "Rows", "read_rows"),
    "synthetic": ("SyntheticWords", "render_word"),
    "sounds": ("SoundCache", "SoundInfo", "inspect_sound", "read_sound", "sound_blocks"),
    "spec_augment": ("SpecAugment",),
    "skipped": ("write_skipped",),
    "splits": ("Splits", "split_rows"),
    "vocabulary": ("Vocabulary",),
    "windows": ("cut_windows",),
    "words": ("split_words",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
