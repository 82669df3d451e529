"""Where a training step of the reader goes: the loss's share, and whether the cores are kept at work.

    python benchmarks/training_step.py [--steps 60]

Trains the network of `seqloss.recipes.ocr` on synthetic words, as `seqloss train ocr` does, and takes each step apart:
waiting for the batch, the network forward, the loss, backward (with the loss's own part of it), the optimizer. Fails
if the loss takes 5 % of a step or more.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn

import seqloss
from seqloss.data import Vocabulary
from seqloss.recipes.ocr.data import Synthetic
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.torch import ctc_loss
from seqloss.torch.ctc import loss as ctc
from seqloss.training.batches import BatchDataset, BatchSampler, make_loader

MOST = 0.05
BATCH, WARM = 32, 5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=60)
    steps = options.parse_args().steps
    seconds, wall, busy = train(steps)
    share = (seconds["loss"] + seconds["backward: of the loss"]) / wall
    table = Table("part", "ms a step", "share", title=f"{steps} steps of {BATCH} synthetic words")
    for part, spent in seconds.items():
        table.add_row(part, f"{1e3 * spent / steps:.2f}", f"{spent / wall:.1%}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print(
        f"the loss takes {share:.2%} of a step; {BATCH * steps / wall:.0f} items/s; "
        f"{busy / wall:.2f} of {len(os.sched_getaffinity(0))} cores at work in the training process; "
        f"seqloss {seqloss.__version__}, torch {torch.__version__}"
    )
    if share >= MOST:
        sys.exit(f"the loss takes {share:.1%} of a step, expected under {MOST:.0%}")


def train(steps: int) -> tuple[dict[str, float], float, float]:
    """Seconds of each part, of the whole, and of all threads of this process, over the steps after some warm ones."""
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[part] += time.perf_counter() - start

    whole = ctc._CTC.backward

    def backward(context, upstream):
        with timed("backward: of the loss"):
            return whole(context, upstream)

    ctc._CTC.backward = staticmethod(backward)
    source = Synthetic("train", BATCH * (steps + WARM), seed=0)
    task = OcrTask(Settings(batch=BATCH))
    task.known_vocabulary = Vocabulary.from_texts(source.words)
    torch.manual_seed(0)
    network = task.build_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    batches = iter(make_loader(BatchDataset(source, task.collate), BatchSampler(source, BATCH, 0), workers=1))
    for step in track(range(steps + WARM), "training", console=Console(stderr=True), transient=True):
        if step == WARM:
            seconds.clear()
            start, before = time.perf_counter(), cpu_seconds()
        with timed("waiting for the batch"):
            batch = next(batches)
        with timed("network"):
            logits, frames = network(batch.images, batch.widths)
        with timed("loss"):
            loss = ctc_loss(logits, batch.targets, frames, batch.target_lengths, reduction="labels")
        with timed("backward"):
            optimizer.zero_grad()
            loss.backward()
        with timed("clip and optimizer"):
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
    seconds["backward"] -= seconds["backward: of the loss"]
    return seconds, time.perf_counter() - start, cpu_seconds() - before


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
