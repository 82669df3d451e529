"""The layouts of data folders: where the text of an image or a sound is written.

Each file has one layout: how a folder shows it, and how its records are read. To add one, write such a file, put it
into `LAYOUTS`, and give it a tree in tests/data/layouts/ and in docs/data.md.
"""

from __future__ import annotations

from seqloss.data.layouts import file_names, iam, label_number, labels, manifest, metadata, mjsynth, pairs
from seqloss.data.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = (
    manifest.LAYOUT,
    labels.LAYOUT,
    metadata.LAYOUT,
    pairs.LAYOUT,
    mjsynth.LAYOUT,
    iam.LAYOUT,
    label_number.LAYOUT,
    file_names.LAYOUT,
)

LAYOUT_NAMES = tuple(layout.name for layout in LAYOUTS)
