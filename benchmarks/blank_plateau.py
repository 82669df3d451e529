"""How many steps CTC predicts only blanks, and what ends it sooner.

    python benchmarks/blank_plateau.py --fsdd FOLDER --an4 FOLDER [--seeds 3] [--steps 600] [--save]

The speech recipe is trained with one change at a time. A network that predicts only blanks has a label error rate of 1,
and one that predicts random labels a larger one. The plateau has ended when the label error rate of 20 consecutive
training batches is below 0.9. A training that is still on it after `--steps` steps counts with that number. Nothing is
augmented but by dropout, so that seeds differ in weights and order.

`--save` writes results/blank_plateau.json and docs/img/blank-plateau-light.svg and -dark.svg.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from machine import machine
from rapidfuzz.distance import Levenshtein
from torch import nn

from seqloss.recipes.speech.settings import Settings
from seqloss.recipes.speech.task import SpeechTask
from seqloss.torch import ctc_greedy
from seqloss.training.batches import BatchDataset, BatchSampler
from seqloss.training.optim import warmup_then_cosine

WINDOW, ENDED = 20, 0.9
PLANNED = 3000
"""Steps of the training that the schedule is made for: the first tenth warms up."""

COMMON = {"layers": 2, "dropout": 0.2, "spec_augment": False, "speed": False}
SETS = {
    "fsdd": {"rate": 8000, "size": 128, "subsampling": 2, "batch": 32},
    "an4": {"normalization": "utterance", "size": 256, "subsampling": 4, "batch": 16},
}


@dataclass(frozen=True)
class Change:
    """One difference from the recipe."""

    layer_norm: bool = True
    warm_up: bool = True
    blank_bias: float = 0.0
    learning_rate: float = 2e-3
    other_subsampling: bool = False


CHANGES = {
    "the recipe": Change(),
    "without layer norms": Change(layer_norm=False),
    "without layer norms, blank bias -3": Change(layer_norm=False, blank_bias=-3.0),
    "blank bias -3": Change(blank_bias=-3.0),
    "without warm-up": Change(warm_up=False),
    "without layer norms, without warm-up": Change(layer_norm=False, warm_up=False),
    "learning rate 5e-4": Change(learning_rate=5e-4),
    "other subsampling": Change(other_subsampling=True),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fsdd", required=True)
    options.add_argument("--an4", required=True)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--steps", type=int, default=600)
    options.add_argument("--save", action="store_true")
    given = options.parse_args()
    found: dict[str, dict[str, list[int]]] = {}
    for name in SETS:
        for label, change in CHANGES.items():
            settings = settings_for(name, getattr(given, name), change)
            lengths = [plateau(replace(settings, seed=seed), change, given.steps) for seed in range(given.seeds)]
            found.setdefault(name, {})[label] = lengths
            print(f"{name:5} {label:40} {lengths}", flush=True)
    if given.save:
        saved = {"machine": machine("torch", "numpy", "numba"), "steps": given.steps, "plateau": found}
        folder = Path(__file__).parent
        (folder / "results" / "blank_plateau.json").write_text(json.dumps(saved, indent=1) + "\n")
        draw(found, given.steps, folder.parent / "docs" / "img")


def settings_for(name: str, data: str, change: Change) -> Settings:
    settings = Settings(data=data, **{**COMMON, **SETS[name]})  # type: ignore[arg-type]
    return replace(settings, subsampling=6 - settings.subsampling) if change.other_subsampling else settings


def plateau(settings: Settings, change: Change, limit: int) -> int:
    """Steps until labels are predicted; the limit if they are not until then."""
    torch.manual_seed(settings.seed)
    task = SpeechTask(settings)
    data = task.load_data(skip_bad=True, print_line=lambda line: None)
    network = task.build_network()
    if not change.layer_norm:
        remove_layer_norms(network)
    with torch.no_grad():
        network.head.bias[0] += change.blank_bias  # type: ignore[union-attr]
    optimizer = torch.optim.AdamW(network.parameters(), lr=change.learning_rate)
    rates: deque[float] = deque(maxlen=WINDOW)
    for step, batch in enumerate(batches(task, data.sources["train"], limit)):
        for group in optimizer.param_groups:
            group["lr"] = change.learning_rate * (warmup_then_cosine(step, PLANNED) if change.warm_up else 1)
        outputs = task.forward(network, batch)
        optimizer.zero_grad()
        task.loss(batch, outputs).backward()
        nn.utils.clip_grad_norm_(network.parameters(), task.gradient_clip)
        optimizer.step()
        rates.append(label_error_rate(batch, outputs))
        if len(rates) == WINDOW and sum(rates) / WINDOW < ENDED:
            return step + 1 - WINDOW
    return limit


def label_error_rate(batch: Any, outputs: Any) -> float:
    """Edit distance of the best paths' labels from the targets, over the number of labels."""
    found = ctc_greedy(outputs["logits"].detach(), outputs["logit_lengths"])
    targets = [row[:length] for row, length in zip(batch.targets.tolist(), batch.target_lengths.tolist(), strict=True)]
    wrong = sum(Levenshtein.distance(row.labels.tolist(), target) for row, target in zip(found, targets, strict=True))
    return wrong / max(1, int(batch.target_lengths.sum()))


def batches(task: SpeechTask, source: Any, limit: int) -> Iterator[Any]:
    """As many batches of the training items, epoch after epoch."""
    dataset = BatchDataset(source.without_augmentation(), task.collate)
    sampler = BatchSampler(dataset.source, task.settings.batch, task.settings.seed)
    count = 0
    while True:
        for keys in sampler:
            if count == limit:
                return
            count += 1
            yield dataset[keys]
        sampler.set_epoch(sampler.epoch + 1)


def remove_layer_norms(network: nn.Module) -> None:
    """Those before each LSTM and before the output layer."""
    network.after = nn.Identity()
    for n in range(len(network.encoder.norms)):  # type: ignore[union-attr, arg-type]
        network.encoder.norms[n] = nn.Identity()  # type: ignore[union-attr, index, operator]


def draw(found: dict[str, dict[str, list[int]]], limit: int, folder: Path) -> None:
    """A point for each seed, a line for each change, a diagram for each set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles: dict[str, Callable[[], Any]] = {
        "light": lambda: pyplot.style.context("default"),
        "dark": lambda: pyplot.style.context("dark_background"),
    }
    for name, style in styles.items():
        with style():
            figure, axes = pyplot.subplots(1, len(found), figsize=(9, 3.2), sharey=True, layout="constrained")
            for axis, (data, changes) in zip(axes, found.items(), strict=True):
                for row, lengths in enumerate(changes.values()):
                    axis.plot(lengths, [row] * len(lengths), "o", color="tab:blue", alpha=0.8)
                axis.axvline(limit, color="grey", linewidth=0.8, linestyle=":")
                axis.set(title=data.upper(), xlabel="steps with blanks only", xlim=(0, limit * 1.04))
                axis.set_yticks(range(len(changes)), list(changes))
            axes[0].invert_yaxis()
            folder.mkdir(exist_ok=True)
            figure.savefig(folder / f"blank-plateau-{name}.svg", transparent=True, metadata={"Date": None})
            pyplot.close(figure)


if __name__ == "__main__":
    main()
