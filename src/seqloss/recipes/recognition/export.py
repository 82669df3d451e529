"""A trained network's outputs for held-out items, as a file for `seqloss verify --logits`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from seqloss.errors import OptionError
from seqloss.training.batches import BatchDataset
from seqloss.training.task import Task


def export_outputs(task: Task, network: nn.Module, file: Path, items: int) -> int:
    """Write the outputs for the first validation items (training items where none are held out).

    Args:
        task: of the run.
        network: with the run's weights.
        file: an .npz of logits (batch, time, classes) float32, targets (batch, labels), logit_lengths, target_lengths
            and blank.
        items: at most this many.

    Returns:
        the number of items written.

    Raises:
        DataError: the run's data cannot be read any more.
        OptionError: `items` is less than 1.
    """
    if items < 1:
        raise OptionError(f"--items: found {items}, expected at least 1.")
    _, source = task.load_data(skip_bad=True).held_out
    batch = BatchDataset(source, task.collate).first_items(0, min(items, len(source)))
    with torch.inference_mode():
        outputs = task.forward(network, batch)
    part = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as out:
            np.savez_compressed(
                out,
                logits=outputs["logits"].numpy(),
                targets=batch.targets.numpy(),
                logit_lengths=outputs["logit_lengths"].numpy(),
                target_lengths=batch.target_lengths.numpy(),
                blank=np.int64(0),
            )
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return len(batch)
