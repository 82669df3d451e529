"""`nemo`: train_manifest.json with an object {"audio_filepath": ..., "text": ..., "duration": ...} on each line.

Source: https://docs.nvidia.com/nemo-framework/user-guide/latest/nemotoolkit/asr/datasets.html
"""

from __future__ import annotations

from seqloss.data.folder import SPLITS, Folder
from seqloss.data.layouts.layout import Layout
from seqloss.data.layouts.table import read_tables
from seqloss.data.paths import SOUNDS
from seqloss.data.tables import first_line


def find_nemo(folder: Folder) -> list[str]:
    """The files of that name whose first line has these keys."""
    splits = "|".join(SPLITS)
    pattern = rf"(({splits})([_-]manifest)?|manifest([_-]({splits}))?)\.jsonl?"
    return [file for file in folder.find_text_files(pattern) if has_keys(folder, file)]


def has_keys(folder: Folder, file: str) -> bool:
    """Whether a file, of any name, is a manifest of NeMo."""
    return file.lower().endswith((".json", ".jsonl")) and '"audio_filepath"' in first_line(folder.text_path(file))


LAYOUT = Layout("nemo", "train_manifest.json with audio_filepath", find_nemo, read_tables, kind=SOUNDS)
