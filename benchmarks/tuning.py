"""How much data is enough, and what subsampling, batch size, learning rate and early stopping change.

    python benchmarks/tuning.py run --captcha FOLDER --fsdd FOLDER --fraktur FOLDER [--studies ...] [--seeds 0 1 2]
    python benchmarks/tuning.py draw

Each training is one of the command line, in a process of its own, and is measured on test rows that it does not see.
`run` appends a line per training to results/tuning.jsonl, and does not repeat what is there. `draw` makes
docs/img/tuning-light.svg and -dark.svg, and prints the tables of docs/guides/tuning.md.

Rows are taken at random from the training split, the same ones for all trainings of a seed. As everywhere, a tenth of
them is held out to choose the epoch.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine
from tuning_studies import STUDIES, Training

RESULTS = Path(__file__).parent / "results" / "tuning.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    for data in ("captcha", "fsdd", "fraktur"):
        run.add_argument(f"--{data}", type=Path)
    run.add_argument("--studies", nargs="*", choices=STUDIES, default=list(STUDIES))
    run.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    commands.add_parser("draw")
    given = parser.parse_args()
    if given.command == "draw":
        from tuning_figures import draw

        draw(read_lines())
        return
    for seed in given.seeds:
        for study in given.studies:
            for training in STUDIES[study]:
                folder = getattr(given, training.data)
                if folder is not None and not is_done(training, seed):
                    append_line(measure(training, seed, folder.resolve()))


def read_lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def is_done(training: Training, seed: int) -> bool:
    return any(line["name"] == training.name and line["seed"] == seed for line in read_lines())


def append_line(line: dict[str, Any]) -> None:
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line["name"], line["seed"], f"{line['error']:.4f}", f"{line['seconds']:.0f} s", flush=True)


def measure(training: Training, seed: int, folder: Path) -> dict[str, Any]:
    """Train once; the error is that of the characters of the test split."""
    with tempfile.TemporaryDirectory() as place:
        data = place_rows(folder, Path(place), training.rows, seed)
        out = Path(place) / "run"
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "seqloss", *training.arguments(data, folder), "--seed", str(seed), "--out", out],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        history, result = (json.loads((out / f"{name}.json").read_text()) for name in ("history", "result"))
    ranks = [(epoch["validation/distance"], epoch["validation/loss"]) for epoch in history["epochs"]]
    return {
        "name": training.name, "seed": seed, "rows": training.rows, "error": result["test"]["characters"],
        "exact": result["test"]["exact"], "epochs": len(ranks), "best": ranks.index(min(ranks)) + 1,
        "steps": history["epochs"][-1]["step"], "seconds": round(seconds), "machine": machine("torch", "lightning"),
    }  # fmt: skip


def place_rows(folder: Path, place: Path, rows: int | None, seed: int) -> Path:
    """The manifest of so many training rows, and of all test rows."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        lines, names = list(reader), reader.fieldnames or []
    training = [line for line in lines if line["split"] == "train"]
    kept = training if rows is None else random.Random(seed).sample(training, rows)
    with (place / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(kept + [line for line in lines if line["split"] == "test"])
    return place / "manifest.csv"


if __name__ == "__main__":
    main()
