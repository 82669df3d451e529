"""Pictures of text to text: convolutions, a bidirectional LSTM, CTC.

Read it from top to bottom: the settings, the pictures, the batches, the network, what is trained and
measured, the run, and reading new pictures. Any item of any epoch follows from (seed, epoch, index) alone, so
that a killed run, started again, ends with the same weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchmetrics import MeanMetric
from torchmetrics.text import CharErrorRate

from seqloss.data import (
    Item,
    Vocabulary,
    check_rows,
    read_rows,
    refuse,
    split_rows,
    write_skipped,
)
from seqloss.data.vocabulary import frames_needed
from seqloss.errors import BadRow, DataError, OptionError, RunError
from seqloss.recipes import first_checks
from seqloss.recipes.checkpoints import AsideCheckpoints, Latest, load, refuse_other_weights
from seqloss.recipes.history import History
from seqloss.recipes.lines import (
    MAX_WIDTH,
    STRIDE,
    Batches,
    BatchReader,
    Files,
    Lines,
    Painted,
    frames_of,
    loader,
)
from seqloss.recipes.progress import EpochBar, EpochLines
from seqloss.recipes.run import Run
from seqloss.recipes.trainer import Stop, quiet, signals_passed_on, start_fabric, start_trainer
from seqloss.torch import ctc_greedy, ctc_loss

OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, 2e-3),
    "adam": (torch.optim.Adam, 2e-3),
    "sgd": (torch.optim.SGD, 2e-2),
}
"""Each with the learning rate that it gets if none is asked for."""


@dataclass(frozen=True)
class Settings:
    """What a run is asked for; a run is resumed only with the same settings."""

    data: str | None = None  # folder or manifest; None paints words
    epochs: int = 60
    batch: int = 16
    seed: int = 0
    optimizer: str = "adamw"
    lr: float | None = None
    height: int = 32
    patience: int = 30
    painted: int = 8192  # words an epoch, where words are painted
    validation_painted: int = 150
    test_painted: int = 500

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"--optimizer: found {self.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}.")
        if not 16 <= self.height <= 512 or self.height % 16:
            raise OptionError(f"--height: found {self.height}, expected a multiple of 16 from 16 to 512.")
        if not 0 <= self.seed < 2**32:
            raise OptionError(f"--seed: found {self.seed}, expected 0 to {2**32 - 1}.")
        for name in ("epochs", "batch", "patience", "painted"):
            if getattr(self, name) < 1:
                raise OptionError(f"--{name}: found {getattr(self, name)}, expected at least 1.")
        if self.lr is not None and not 0 < self.lr < math.inf:
            raise OptionError(f"--lr: found {self.lr}, expected a positive number.")


# --- the network


class Network(nn.Module):
    """Lines (batch, 1, height, width) to scores (batch, frames, classes), one frame per `STRIDE` pixels.

    What is right of a line's own width is held at 0 throughout, so that a line reads the same in any batch. The two
    layer norms end the time in which CTC says nothing but blanks: on captchas after 3 epochs, without them after 25.
    """

    LAYERS = (
        (1, 24, (2, 2)),
        (24, 48, (2, 2)),
        (48, 96, (2, 1)),
        (96, 96, (2, 1)),
    )  # channels in, out; pooling

    def __init__(self, classes: int, height: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after, _ in self.LAYERS
        )
        features = 96 * height // 16
        self.before = nn.Sequential(nn.LayerNorm(features), nn.Dropout(0.2))
        self.recurrent = nn.LSTM(features, 128, bidirectional=True, batch_first=True)
        self.after = nn.Sequential(nn.LayerNorm(256), nn.Dropout(0.2))
        self.head = nn.Linear(256, classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPUs

    def forward(self, pictures: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        x, columns = pictures.contiguous(memory_format=torch.channels_last), widths
        for layer, (_, _, pooling) in zip(self.layers, self.LAYERS, strict=True):
            x = layer(x)
            x = x * (torch.arange(x.shape[3]) < columns[:, None]).to(x)[:, None, None]  # before pooling mixes columns
            x = nn.functional.max_pool2d(x, pooling, ceil_mode=True)
            columns = (columns + pooling[1] - 1) // pooling[1]
        x = self.before(x.permute(0, 3, 1, 2).flatten(2))  # (batch, frames, channels * height / 16)
        packed = pack_padded_sequence(x, columns, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.head(self.after(x)), columns


# --- what is trained and measured


class Reader(lightning.LightningModule):
    """The network with its loss, its optimizer and its measures."""

    def __init__(self, settings: Settings, vocabulary: Vocabulary, batches: int) -> None:
        super().__init__()
        self.settings, self.vocabulary = settings, vocabulary
        self.steps = settings.epochs * batches
        self.network = Network(len(vocabulary), settings.height)
        self.distance, self.exact, self.held_out_loss = MeanMetric(), MeanMetric(), MeanMetric()
        self.characters = CharErrorRate()
        self.blanked = MeanMetric()  # the loss without the pictures
        self.shown: list[tuple[str, str]] = []

    def on_train_batch_start(self, batch: Lines, batch_idx: int) -> None:
        if batch_idx == 0:  # dropout follows from the epoch, so that a resumed run meets the same
            torch.manual_seed(self.settings.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Lines, batch_idx: int) -> dict[str, Tensor]:
        logits, frames = self.network(batch.pictures, batch.widths)
        loss = self.loss(batch, logits, frames)
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=characters(batch))
        return {"loss": loss, "logits": logits.detach(), "logit_lengths": frames}

    def validation_step(self, batch: Lines, batch_idx: int) -> None:
        self._measure(batch)
        blanked = self.loss(batch, *self.network(torch.zeros_like(batch.pictures), batch.widths))
        self.blanked.update(blanked, weight=characters(batch))

    def test_step(self, batch: Lines, batch_idx: int) -> None:
        self._measure(batch)

    def on_validation_epoch_start(self) -> None:
        self.shown = []

    def on_validation_epoch_end(self) -> None:
        self._report("validation")
        self.log("validation/blanked", self.blanked.compute())
        self.blanked.reset()

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        refuse_other_weights(self, checkpoint["state_dict"])

    def configure_optimizers(self) -> Any:
        optimizer = optimizer_of(self.settings, self)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_then_cosine(step, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def loss(self, batch: Lines, logits: Tensor, frames: Tensor) -> Tensor:
        """Nats a character."""
        return ctc_loss(logits, batch.targets, frames, batch.target_lengths, reduction="labels")

    def _measure(self, batch: Lines) -> None:
        logits, frames = self.network(batch.pictures, batch.widths)
        loss = self.loss(batch, logits, frames)
        self.held_out_loss.update(loss, weight=characters(batch))
        for truth, read in zip(batch.texts, ctc_greedy(logits, frames), strict=True):
            text = self.vocabulary.decode(read.labels.tolist())
            self.distance.update(normalised_distance(text, truth))
            self.exact.update(float(text == truth))
            self.characters.update(text, truth)
            if len(self.shown) < 3:
                self.shown.append((truth, text))

    def _report(self, stage: str) -> None:
        self.log(f"{stage}/distance", self.distance.compute(), prog_bar=True)
        self.log(f"{stage}/exact", self.exact.compute())
        self.log(f"{stage}/characters", self.characters.compute())
        self.log(f"{stage}/loss", self.held_out_loss.compute())
        for metric in (self.distance, self.exact, self.characters, self.held_out_loss):
            metric.reset()


def characters(batch: Lines) -> int:
    """What a batch's loss, in nats a character, weighs in a mean."""
    return max(1, int(batch.target_lengths.sum()))


def normalised_distance(read: str, truth: str) -> float:
    """Edits from one text to the other, over the truth's length."""
    return Levenshtein.distance(read, truth) / max(1, len(truth))


def optimizer_of(settings: Settings, module: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that is asked for, over a module's weights."""
    kind, usual = OPTIMIZERS[settings.optimizer]
    more = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    return kind(module.parameters(), lr=settings.lr or usual, **more)


def warm_then_cosine(step: int, steps: int) -> float:
    """Factor of the learning rate: up in a line over the first tenth, down along half a cosine to a hundredth."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm)))) / 2


# --- the run


def train(
    settings: Settings,
    folder: Path,
    *,
    fresh: bool = False,
    skip_bad: bool = False,
    workers: int = 1,
    trainer: dict[str, Any] | None = None,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train a reader of text lines, or take a killed training up again, and measure it on pictures that it never saw.

    Args:
        settings: what is trained, on what.
        folder: where the run lives; the same call again resumes it.
        fresh: set an earlier run in that folder aside.
        skip_bad: train on the rows that can be used, and list the others in RUN/skipped.csv.
        workers: processes that prepare batches.
        trainer: passed on to Lightning's Trainer: accelerator, devices, precision, ...
        say: where each line of text goes.
        progress: told (rows looked at, all rows) while the data are checked.

    Returns:
        measures of the best epoch: distance and exact share on validation pictures, and on test pictures if
        there are any; also written to RUN/result.json.

    Raises:
        DataError: rows that cannot be used; `rows` lists all of them.
        RunError: the folder holds another run; a checkpoint cannot be read or written.
    """
    if workers < 0:
        raise OptionError(f"--workers: found {workers}, expected at least 0.")
    quiet()
    run = Run(folder)
    main = int(os.environ.get("LOCAL_RANK", "0")) == 0
    if not main:
        say = silent
    known = None if fresh else known_vocabulary(run)
    sources, vocabulary, digest, bad = load_sources(settings, skip_bad, known, progress)
    wanted = {**asdict(settings), "data_digest": digest, "vocabulary_digest": vocabulary.digest}
    with run.begun(wanted, fresh=fresh) if main else nullcontext():
        if main:
            vocabulary.save(run.vocabulary)
            if bad:
                write_skipped(run.skipped, bad)
                say(f"left out {len(bad)} rows that cannot be used: see {run.skipped}")
                if note := feasibility([item for source in sources.values() for item in items_of(source)], bad):
                    say(f"    {note}")
        if (result := run.read("result")) is not None:
            say(f"{folder}: this run is finished; --fresh starts anew.")
            tell(result, say)
            return result
        with signals_passed_on():
            result = fit(settings, run, sources, vocabulary, workers, trainer or {}, say)
        if main:
            run.write("result", result)
        return result


def silent(line: str) -> None:
    """What any process but the first one says."""


def known_vocabulary(run: Run) -> Vocabulary | None:
    """That of the run to be resumed, if there is one: it is never extended."""
    if not run.vocabulary.exists():
        return None
    try:
        vocabulary = Vocabulary.load(run.vocabulary)
    except DataError as problem:
        raise RunError(f"{problem} Or start anew with --fresh.") from problem
    settings = run.read("settings") or {}
    if settings.get("vocabulary_digest", vocabulary.digest) != vocabulary.digest:
        raise RunError(f"{run.vocabulary}: is not the one that the run began with; put it back, or give --fresh.")
    return vocabulary


def load_sources(
    settings: Settings, skip_bad: bool, known: Vocabulary | None, progress: Callable[[int, int], None] | None
) -> tuple[dict[str, Files | Painted], Vocabulary, str, list[BadRow]]:
    """The pictures of each split, the vocabulary, a digest of the data, and the rows left out."""
    if settings.data is None:
        sizes = {
            "train": settings.painted,
            "validation": settings.validation_painted,
            "test": settings.test_painted,
        }
        painted = {name: Painted(name, size, settings.seed, settings.height) for name, size in sizes.items()}  # type: ignore[arg-type]
        vocabulary = Vocabulary.from_texts(painted["train"].words)
        return dict(painted), known or vocabulary, vocabulary.digest, []
    rows, bad = read_rows(Path(settings.data))
    if not rows:
        raise refuse(bad)
    splits, strays = split_rows(rows)
    look = partial(check_rows, frames=frames_of, height=settings.height, max_width=MAX_WIDTH, progress=progress)
    items, bad = look(splits.train, [*bad, *strays], vocabulary=known)
    vocabulary = known or Vocabulary.from_texts(item.row.text for item in items)
    held_out, bad = look([*splits.validation, *splits.test], bad, vocabulary=None)
    items += held_out
    if bad and not skip_bad:
        raise refuse(bad, feasibility(items, bad))
    by_path = {item.row.path: item for item in items}
    sources: dict[str, Files | Painted] = {}
    for name in ("train", "validation", "test"):
        kept = [by_path[row.path] for row in getattr(splits, name) if row.path in by_path]
        if kept:
            sources[name] = Files(kept, settings.height, varied=name == "train", seed=settings.seed)
    if "train" not in sources:
        raise DataError("no row is left to train with; mend some of these.", bad)
    return sources, vocabulary, digest_of(items), bad


def feasibility(items: Sequence[Item], bad: Sequence[BadRow]) -> str:
    """How many texts do not fit their pictures' frames, and at which subsampling they would; "" if all do."""
    short = [row.short for row in bad if row.short]
    rows = [(item.width, frames_needed(item.row.text)) for item in items]
    return first_checks.tell_feasible([*rows, *short], STRIDE) if short else ""


def digest_of(items: Sequence[Item]) -> str:
    """A hash of names, texts, splits and the pictures themselves: other data would end in other weights."""
    digest = hashlib.sha256()
    for item in items:
        row = item.row
        digest.update(json.dumps([row.name, row.text, row.split]).encode())
        digest.update(hashlib.sha256(row.path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def fit(
    settings: Settings,
    run: Run,
    sources: dict[str, Files | Painted],
    vocabulary: Vocabulary,
    workers: int,
    options: dict[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train from the last finished epoch on, then measure the best one."""
    torch.manual_seed(settings.seed)
    trainer = start_trainer(
        **{"accelerator": "auto", "devices": "auto", **options},
        max_epochs=settings.epochs,
        default_root_dir=run.folder,
        plugins=[AsideCheckpoints()],
        callbacks=watchers(settings, run, "validation" in sources, say),
        logger=TensorBoardLogger(run.folder, name="logs", version=""),
        gradient_clip_val=5.0,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
    )
    loaders = {
        name: loader(
            BatchReader(source, vocabulary),
            Batches(
                source,
                settings.batch,
                settings.seed if name == "train" else None,
                trainer.global_rank,
                trainer.world_size,
            ),
            workers if name == "train" else 0,
        )
        for name, source in sources.items()
    }
    train_loader = loaders.pop("train")
    module = Reader(settings, vocabulary, len(train_loader))
    resumed = str(run.last) if run.last.exists() else None
    if resumed:
        say(f"going on from {resumed}")
        # Lightning lets the workers begin before it tells the epoch
        train_loader.sampler.set_epoch(load(run.last)["epoch"] + 1)  # type: ignore[attr-defined]
    counts = ", ".join(f"{len(source)} {name}" for name, source in sources.items())
    say(f"pictures: {counts}; {len(vocabulary) - 1} characters; {settings.epochs} epochs; run in {run.folder}")
    if not resumed and trainer.is_global_zero:
        for line in look_first(module, sources, train_loader):
            say(f"    {line}")
    trainer.fit(module, train_loader, loaders.get("validation"), ckpt_path=resumed)
    return measure(trainer, module, run, loaders, say)


def items_of(source: Files | Painted) -> Sequence[Item]:
    """The rows of a data folder; painted words have none."""
    return source.items if isinstance(source, Files) else ()


def look_first(
    module: Reader, sources: dict[str, Files | Painted], batches: torch.utils.data.DataLoader
) -> Iterator[str]:
    """What to know before the first step."""
    yield first_checks.tell_vocabulary(len(module.vocabulary) - 1, module.network.head.out_features)
    for name, source in sources.items():
        unseen = [module.vocabulary.unknown(item.row.text) for item in items_of(source)]
        yield from first_checks.tell_unseen(name, unseen)
    if rows := [(item.width, frames_needed(item.row.text)) for item in items_of(sources["train"])]:
        yield first_checks.tell_feasible(rows, STRIDE)
    batch = batches.dataset[next(iter(batches.sampler))]
    module.eval()
    with torch.no_grad():
        logits, frames = module.network(batch.pictures, batch.widths)
        loss = float(module.loss(batch, logits, frames))
    module.train()
    yield first_checks.tell_first_loss(
        loss, first_checks.mean_uniform_loss(frames.tolist(), batch.texts, logits.shape[2])
    )


def overfit(
    settings: Settings,
    count: int,
    *,
    skip_bad: bool = False,
    trainer: dict[str, Any] | None = None,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Whether the network learns a few training pictures by heart, as any that is wired right does.

    Args:
        settings: as for `train`, optimizer and learning rate included; nothing is written.
        count: pictures.
        skip_bad, say: as for `train`. trainer: accelerator and precision, as for `train`.
        progress: told (steps taken, most steps).

    Returns:
        whether the loss came near 0; the same steps without the pictures are told beside it.
    """
    quiet()
    sources, vocabulary, *_ = load_sources(settings, skip_bad, None, None)
    source = sources["train"]
    if not 1 <= count <= len(source):
        raise OptionError(f"--overfit: found {count}, expected 1 to {len(source)} pictures, which are all there are.")
    if isinstance(source, Files):
        source = Files(source.items, settings.height)
    batch = BatchReader(source, vocabulary)[[(0, index) for index in range(count)]]

    options = {"accelerator": "auto", "precision": "32-true", **(trainer or {}), "devices": 1}
    fabric = start_fabric(**options)

    def tried(pictures: Tensor, most: int) -> tuple[int, float]:
        torch.manual_seed(settings.seed)
        module = Reader(settings, vocabulary, 1)
        network, optimizer = fabric.setup(module.network, optimizer_of(settings, module))
        given = Lines(pictures, batch.widths, batch.targets, batch.target_lengths, batch.texts).to(fabric.device)
        return first_checks.steps_to_learn(
            network,
            optimizer,
            lambda: module.loss(given, *network(given.pictures, given.widths)),
            fabric.backward,
            most,
            progress,
        )

    steps, loss = tried(batch.pictures, first_checks.MOST_STEPS)
    passed = loss <= first_checks.LEARNT
    _, blind = tried(torch.zeros_like(batch.pictures), steps)
    say(first_checks.tell_overfit(count, steps, loss, blind))
    return passed


def watchers(settings: Settings, run: Run, validated: bool, say: Callable[[str], None]) -> list[Callback]:
    """What saves, tells and stops: checkpoints, the epoch's line, the bar on a terminal, early stopping."""
    best = ModelCheckpoint(
        dirpath=run.checkpoints,
        filename="best",
        monitor="validation/distance" if validated else None,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    bar = [EpochBar()] if sys.stderr.isatty() else []
    stop = [Stop("validation/distance", patience=settings.patience, check_on_train_epoch_end=True)] if validated else []
    return [*bar, History(run), best, Latest(run.last), EpochLines(say), *stop]


def measure(
    trainer: Any, module: Reader, run: Run, loaders: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any]:
    """The best epoch on validation and test pictures."""
    module.load_state_dict(run.weights())
    result: dict[str, Any] = {"epochs": trainer.current_epoch}
    for name, batches in loaders.items():
        measured = trainer.test(module, batches, verbose=False)[0]
        count = len(batches.dataset.source)
        exact = round(measured["test/exact"] * count)
        result[name] = {
            "items": count,
            "exact": exact,
            "distance": measured["test/distance"],
            "character_error": measured["test/characters"],
        }
    tell(result, say)
    return result


def tell(result: dict[str, Any], say: Callable[[str], None]) -> None:
    """A line for each split that was measured."""
    for name in ("validation", "test"):
        if measured := result.get(name):
            say(
                f"{name}: {measured['items']} pictures that training never saw: {measured['exact']} read exactly, "
                f"normalised edit distance {measured['distance']:.4f}, "
                f"character error {measured['character_error']:.2%}"
            )
