"""How much slower a step is while it is watched, and whether the weights are the same: plain and watched in turn."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from doctor_trial.fault import RECIPES
from doctor_trial.jobs import Job, Line
from doctor_trial.one_run import run_job


def measure_overhead(recipes: Sequence[str] | None, repeats: int, file: Path | None) -> dict[str, Any]:
    """Processor time of the training and median step, watched over plain; the median of repeats in either order."""
    found = {}
    for recipe in recipes or RECIPES:
        pairs = [_pair(recipe, repeat) for repeat in range(repeats)]
        found[recipe] = {
            "median step": _ratio(pairs, "median_step") - 1,
            "training, processor time": _ratio(pairs, "train_processor_seconds") - 1,
            "watching, as the watch itself counts": statistics.median(
                watched["watch_seconds"] / watched["train_seconds"] for _, watched in pairs
            ),
            "same weights": all(plain["weights"] == watched["weights"] for plain, watched in pairs),
        }
        print(recipe, json.dumps(found[recipe]), flush=True)
    if file:
        file.write_text(json.dumps({"torch": torch.__version__, "repeats": repeats, "recipes": found}, indent=1) + "\n")
    return found


def _ratio(pairs: Sequence[tuple[Line, Line]], name: str) -> float:
    """The median of watched over plain."""
    return statistics.median(watched[name] / plain[name] for plain, watched in pairs)


def _pair(recipe: str, repeat: int) -> tuple[Line, Line]:
    job = Job(recipe, "as-it-is", 0)
    order = (False, True) if repeat % 2 == 0 else (True, False)
    lines = {watched: run_job(job, examined=False, watched=watched, rules=False) for watched in order}
    return lines[False], lines[True]
