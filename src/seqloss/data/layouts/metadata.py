"""`metadata`: metadata.csv or metadata.jsonl with the column file_name, as Hugging Face's imagefolder and audiofolder
have it, in the folder itself or in each of its splits.

Source: https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

from seqloss.data.folder import Folder
from seqloss.data.layouts.layout import Layout
from seqloss.data.layouts.ljspeech import find_ljspeech
from seqloss.data.layouts.table import read_tables


def find_metadata(folder: Folder) -> list[str]:
    """These files, but LJSpeech's, which has bars and no header."""
    return [] if find_ljspeech(folder) else folder.find_text_files(r"metadata\.(csv|jsonl)")


LAYOUT = Layout("metadata", "metadata.csv or metadata.jsonl with file_name", find_metadata, read_tables)
