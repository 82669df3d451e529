"""The layouts of data folders: where the text of an image or a sound is written.

Each file has one layout: how a folder shows it, and how its records are read. To add one, write such a file, put it
into `LAYOUTS`, and give it a tree in tests/data/layouts/ and in docs/guides/data.md.
"""

from __future__ import annotations

from seqloss.data.layouts import (
    common_voice,
    file_names,
    iam,
    kaldi,
    label_number,
    labels,
    librispeech,
    ljspeech,
    manifest,
    metadata,
    mjsynth,
    nemo,
    pairs,
    timit,
)
from seqloss.data.layouts.layout import Layout
from seqloss.data.paths import ItemKind

LAYOUTS: tuple[Layout, ...] = (
    manifest.LAYOUT,
    labels.LAYOUT,
    metadata.LAYOUT,
    pairs.LAYOUT,
    # images
    mjsynth.LAYOUT,
    iam.LAYOUT,
    # sounds
    librispeech.LAYOUT,
    timit.LAYOUT,
    common_voice.LAYOUT,
    nemo.LAYOUT,
    kaldi.LAYOUT,
    ljspeech.LAYOUT,
    # only where no file may hold texts
    label_number.LAYOUT,
    file_names.LAYOUT,
)


def layouts_of(kind: ItemKind) -> list[Layout]:
    """The layouts of images, or of sounds."""
    return [layout for layout in LAYOUTS if layout.kind in (None, kind)]
