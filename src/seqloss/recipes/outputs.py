"""What a trained run says of its validation pictures, as a file that any CTC can be held against."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from seqloss.errors import OptionError
from seqloss.recipes.lines import BatchReader
from seqloss.recipes.ocr import Settings, load_sources
from seqloss.recipes.run import Run
from seqloss.recipes.transcriber import Transcriber


def export(folder: Path, file: Path, items: int = 256) -> int:
    """Write the network's outputs for the first validation pictures (training's, if none were held out).

    Args:
        folder: of a run that has finished an epoch.
        file: an .npz of logits (batch, time, classes) float32, targets (batch, labels), logit_lengths, target_lengths
            and blank, for `seqloss verify --logits`.
        items: at most so many pictures.

    Returns:
        how many there were.

    Raises:
        RunError: the folder holds no run that has finished an epoch.
        DataError: its pictures cannot be used any more.
        OptionError: no picture was asked for.
    """
    if items < 1:
        raise OptionError(f"--items: found {items}, expected at least 1.")
    reader = Transcriber(folder)
    known = Run(folder).read("settings") or {}
    settings = Settings(**{field.name: known[field.name] for field in fields(Settings) if field.name in known})
    sources, *_ = load_sources(settings, True, reader.vocabulary, None)
    source = sources.get("validation") or sources["train"]
    batch = BatchReader(source, reader.vocabulary)[[(0, index) for index in range(min(items, len(source)))]]
    with torch.inference_mode():
        logits, frames = reader.network(batch.pictures, batch.widths)
    aside = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with aside.open("wb") as out:
            np.savez_compressed(
                out,
                logits=logits.numpy(),
                targets=batch.targets.numpy(),
                logit_lengths=frames.numpy(),
                target_lengths=batch.target_lengths.numpy(),
                blank=np.int64(0),
            )
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
    return len(batch.texts)
