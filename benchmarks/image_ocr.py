"""The Keras image_ocr task at its full size, beside what its authors published.

    pip install 'seqloss[bench]'
    python benchmarks/image_ocr.py [--out runs/image-ocr] [--epochs 25] [--precision bf16-mixed] [--save]

The task is what examples/image_ocr.py of Keras 2 describes: 16,000 words an epoch, a fifth of them for validation;
3 of 32 training pictures hold nothing; a word of 25 pixels' height anywhere in a picture of 128 x 64, rotated by up
to 4 degrees, under blotches of noise. It grows: the word's height in the picture varies from epoch 3 on (counted from
0), five families of fonts, bold or not, come at 6, rotation at 9; pictures of 512 pixels at 20, and at 21 words of up
to 12 letters, half of them two words with a space between.

Words: wordfreq's English list, by frequency, as far as it is a to z; pairs: symspellpy's list of bigrams. Fonts: those
that matplotlib brings, STIX and DejaVu among them, for the five families of the source, which no package brings.
Network, loss and optimiser are those of `seqloss train ocr`. A killed run goes on when the same command is given again.

`--save` writes benchmarks/results/image_ocr.json with machine, versions and time.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from machine import machine
from PIL import Image, ImageFont
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from seqloss.data import Vocabulary
from seqloss.data.atomic_write import write_atomically
from seqloss.recipes.ocr.settings import Settings
from seqloss.recipes.ocr.task import OcrTask
from seqloss.recipes.recognition.data import TextSource
from seqloss.training.batches import BatchDataset, BatchSampler, make_loader
from seqloss.training.checkpoints import AtomicCheckpoints, SaveLastEpoch, load_checkpoint
from seqloss.training.module import TaskModule
from seqloss.training.progress import EpochBar, EpochLines
from seqloss.training.run import Run
from seqloss.training.trainer import forward_signals, silence_libraries, start_trainer

RESULT = Path(__file__).parent / "results" / "image_ocr.json"
ALPHABET = "abcdefghijklmnopqrstuvwxyz "
TRAIN, VALIDATION, BATCH, HEIGHT, FACE, BORDER = 12_800, 3_200, 32, 64, 25, 4

PUBLISHED = {
    "Keras 2, TensorFlow": {10: 0.027, 15: 0.038, 20: 0.043, 25: 0.014},
    "Keras 2, Theano": {10: 0.064, 15: 0.035, 20: 0.045, 25: 0.019},
    "2016": {10: 0.072, 20: 0.032},
}
"""Normalised edit distances after so many epochs, from the head of the source and an earlier version of it."""

FAMILIES = (
    ("DejaVuSansMono", "DejaVuSansMono-Bold"),  # for Courier
    ("DejaVuSerif", "DejaVuSerif-Bold"),  # for Century Schoolbook
    ("STIXGeneral", "STIXGeneralBol"),
    ("STIXGeneralItalic", "STIXGeneralBolIta"),  # for URW Chancery L
    ("cmtt10", "DejaVuSansMono-Oblique"),  # for FreeMono
)


def width_of(epoch: int) -> int:
    return 128 if epoch < 20 else 512


@cache
def words(epoch: int) -> list[str]:
    """The words of an epoch, easy and hard in turn: the first TRAIN to learn from, VALIDATION after them."""
    long = epoch >= 21
    count, most = (32_000, 12) if long else (16_000, 4)
    single = [word for word in monograms() if len(word) <= most][: count // 2 if long else count]
    pairs = [pair for pair in bigrams() if len(pair) <= most][: count - len(single)] if long else []
    found = single + pairs
    if len(found) != count:
        raise SystemExit(f"the lists hold {len(found)} words of up to {most} letters, {count} are needed")
    mixed = [""] * count
    mixed[::2], mixed[1::2] = found[: count // 2], found[count // 2 :]
    return mixed


@cache
def monograms() -> list[str]:
    from wordfreq import top_n_list

    return [word for word in top_n_list("en", 400_000, wordlist="large") if re.fullmatch("[a-z]+", word)]


@cache
def bigrams() -> list[str]:
    from importlib.resources import files

    lines = (
        files("symspellpy").joinpath("frequency_bigramdictionary_en_243_342.txt").read_text("utf-8-sig").splitlines()
    )
    counted = [line.split() for line in lines]
    counted.sort(key=lambda parts: -int(parts[2]))
    return [pair for a, b, _ in counted if re.fullmatch("[a-z]+ [a-z]+", pair := f"{a} {b}")]


class Words(TextSource):
    """The images of a split; each is rendered anew in each epoch, from (split, epoch, index) alone."""

    def __init__(self, split: Literal["train", "validation"]) -> None:
        self.split, self.size = split, TRAIN if split == "train" else VALIDATION

    def __len__(self) -> int:
        return self.size

    def length(self, epoch: int, index: int) -> int:
        return width_of(epoch)

    def item(self, epoch: int, index: int) -> tuple[np.ndarray, str]:
        """An image, uint8 (height, width), and its text."""
        held_out = self.split == "validation"
        rng = np.random.default_rng([55, held_out, epoch, index])
        empty = not held_out and index % BATCH >= BATCH - 3
        text = "" if empty else words(min(epoch, 21))[index + TRAIN * held_out]
        return paint(text, epoch, rng), text


def paint(text: str, epoch: int, rng: np.random.Generator) -> np.ndarray:
    wide = width_of(epoch)
    family = FAMILIES[rng.integers(len(FAMILIES))] if epoch >= 6 else FAMILIES[0][1:]
    ink, _ = font(family[rng.integers(len(family))]).getmask2(text, mode="L")
    page = Image.new("L", (wide, HEIGHT), 255)
    if ink.size[0]:
        most = wide - 2 * BORDER, HEIGHT - 2 * BORDER
        if ink.size[0] > most[0] or ink.size[1] > most[1]:
            raise ValueError(f"{text!r} does not fit a picture of {wide} x {HEIGHT}")
        left = int(rng.integers(0, wide - ink.size[0] - BORDER))
        top = int(rng.integers(0, HEIGHT - ink.size[1] - BORDER)) if epoch >= 3 else HEIGHT // 2
        page.paste(0, (left, min(top, HEIGHT - ink.size[1])), Image.frombytes("L", ink.size, bytes(ink)))
        if epoch >= 9:
            most_degrees = 3 * (wide - left) / wide + 1
            page = page.rotate(rng.uniform(-most_degrees, most_degrees), Image.Resampling.BILINEAR, fillcolor=255)
    return blotched(np.asarray(page, np.float32) / 255, rng)


def blotched(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that is smooth over a pixel or two, of a strength that differs from picture to picture."""
    noise = rng.standard_normal(page.shape, np.float32) * np.float32(rng.uniform(0, 0.6))
    return np.rint(255 * np.clip(page + ndimage.gaussian_filter(noise, 1), 0, 1)).astype(np.uint8)


@cache
def font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(path, FACE, layout_engine=ImageFont.Layout.BASIC)


class ImageOcrTask(OcrTask):
    """The OCR recipe with a learning rate that stays up while the task grows, and falls in the last fifth."""

    def learning_rate_factor(self, step: int, steps: int) -> float:
        warm, left = (step + 1) / 400, (steps - step) / (steps / 5)
        return max(0.01, min(1.0, warm, left))


class Rows(Callback):
    """Keeps each epoch's distance and time in RUN/epochs.json."""

    def __init__(self, run: Run) -> None:
        self.run, self.start = run, 0.0

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        known = {int(epoch): row for epoch, row in (self.run.read_json("epochs") or {}).items()}
        known[trainer.current_epoch + 1] = {
            "distance": float(trainer.callback_metrics["validation/distance"]),
            "exact": float(trainer.callback_metrics["validation/exact"]),
            "seconds": time.monotonic() - self.start,
        }
        self.run.write_json("epochs", {str(epoch): known[epoch] for epoch in sorted(known)})


def train(folder: Path, epochs: int, accelerator: str, precision: str, workers: int) -> dict[str, Any]:
    """The rows of all epochs."""
    silence_libraries()
    settings = Settings(epochs=epochs, batch=BATCH, height=HEIGHT, patience=epochs)
    task = ImageOcrTask(settings)
    task.known_vocabulary = Vocabulary.from_texts([ALPHABET])
    run = Run(folder)
    with run.begin({"task": "image_ocr", "epochs": epochs}):
        torch.manual_seed(settings.seed)
        trainer = start_trainer(
            accelerator=accelerator,
            devices=1,
            precision=precision,
            max_epochs=epochs,
            default_root_dir=run.folder,
            plugins=[AtomicCheckpoints()],
            callbacks=[EpochBar(), EpochLines(print), Rows(run), SaveLastEpoch(run.last)],
            logger=TensorBoardLogger(run.folder, name="logs", version=""),
            gradient_clip_val=5.0,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loaders = [
            make_loader(BatchDataset(source, task.collate), BatchSampler(source, BATCH, seed), workers)
            for source, seed in ((Words("train"), 0), (Words("validation"), None))
        ]
        resumed = str(run.last) if run.last.exists() else None
        if resumed:
            loaders[0].sampler.set_epoch(load_checkpoint(run.last)["epoch"] + 1)  # type: ignore[attr-defined]
        with forward_signals(trainer):
            trainer.fit(TaskModule(task, epochs * len(loaders[0])), *loaders, ckpt_path=resumed)
    return run.read_json("epochs") or {}


def table(rows: dict[str, Any]) -> Table:
    told = Table(title="image_ocr: normalised edit distance after so many epochs")
    told.add_column("")
    for epoch in (10, 15, 20, 25):
        told.add_column(str(epoch), justify="right")
    for name, known in {**PUBLISHED, "seqloss": {int(e): row["distance"] for e, row in rows.items()}}.items():
        told.add_row(name, *(f"{known[epoch]:.3f}" if epoch in known else "" for epoch in (10, 15, 20, 25)))
    return told


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("runs/image-ocr"))
    options.add_argument("--epochs", type=int, default=25)
    options.add_argument("--accelerator", default="auto")
    options.add_argument("--precision", default="32-true", help="bf16-mixed halves the time where a CPU has it")
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--save", action="store_true")
    asked = options.parse_args()
    rows = train(asked.out, asked.epochs, asked.accelerator, asked.precision, asked.workers)
    Console().print(table(rows))
    if asked.save:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        result = {
            "machine": machine("torch", "lightning", "pillow", "matplotlib", "wordfreq", "symspellpy"),
            "device": device,
            "precision": asked.precision,
            "hours": sum(row["seconds"] for row in rows.values()) / 3600,
            "published": PUBLISHED,
            "epochs": rows,
        }
        write_atomically(RESULT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
