"""`manifest`: manifest.csv or manifest.jsonl with the columns path, text and, if wanted, split."""

from __future__ import annotations

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout
from seqloss.data.layouts.table import read_tables


def find_manifest(folder: Folder) -> list[str]:
    return folder.find_text_files(r"manifest\.(csv|jsonl)")


LAYOUT = Layout("manifest", "manifest.csv or manifest.jsonl", find_manifest, read_tables)
