"""Boundaries of `seqloss align` beside TIMIT's hand-made ones.

    seqloss train speech --data TIMIT --units phones --out RUN
    python benchmarks/phone_boundaries.py RUN TIMIT [--split test] [--save]

The phones of each recording of a split are aligned with it, and each boundary between two phones is compared with that
of the `.phn` file beside the recording. Two estimates of a boundary are measured: the start of the later phone, as
`align` gives it, and the middle between the end of the earlier phone and that start. The glottal stop q has no class of
its own and is left out. Boundaries at the start of a recording are not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from machine import machine

from seqloss.data import read_rows
from seqloss.data.layouts.timit import read_segments
from seqloss.data.paths import SOUNDS
from seqloss.recipes import load_task
from seqloss.recipes.recognition.segments import Segment
from seqloss.recipes.speech.timit_phones import LEFT_OUT
from seqloss.training.predictor import Predictor
from seqloss.training.run import Run

RATE = 16_000
NEAR = 0.0200001
"""Seconds up to which a boundary counts as near; a little more than 20 ms, for rounding."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("data", type=Path)
    options.add_argument("--split", default="test")
    options.add_argument("--save", action="store_true")
    given = options.parse_args()
    predictor = Predictor(load_task(given.run), Run(given.run))
    errors: dict[str, list[float]] = {"start": [], "middle": []}
    recordings = 0
    for row in read_rows(given.data, kind=SOUNDS, phones=True).rows:
        if row.split == given.split:
            found = predictor.align(row.path, row.text).tiers["phones"]
            for name, values in boundary_errors(found, read_boundaries(row.path)).items():
                errors[name] += values
            recordings += 1
    if not recordings:
        raise SystemExit(f"{given.data} has no recording of the split {given.split!r}")
    result = {"recordings": recordings, **{name: summarise(values) for name, values in errors.items()}}
    print(json.dumps(result, indent=1))
    if given.save:
        saved = {"machine": machine("torch", "numpy", "numba"), "settings": Run(given.run).read_json("settings")}
        path = Path(__file__).parent / "results" / "phone_boundaries.json"
        path.write_text(json.dumps({**saved, given.split: result}, indent=1) + "\n")


def read_boundaries(recording: Path) -> list[float]:
    """Start in seconds of each phone that is trained, of the .phn file beside a recording."""
    file = next(p for p in recording.parent.iterdir() if p.stem == recording.stem and p.suffix.lower() == ".phn")
    segments = read_segments(file.read_text(encoding="ascii"))
    return [first / RATE for first, _, phone in segments if phone not in LEFT_OUT]


def boundary_errors(found: Sequence[Segment], starts: Sequence[float]) -> dict[str, list[float]]:
    """How much later each boundary is than the hand-made one, in seconds, for both estimates."""
    ends = [segment.end for segment in found]
    rows = list(zip(ends[:-1], found[1:], starts[1:], strict=True))
    return {
        "start": [segment.start - start for _, segment, start in rows],
        "middle": [(end + segment.start) / 2 - start for end, segment, start in rows],
    }


def summarise(errors: Sequence[float]) -> dict[str, float]:
    """Milliseconds, and the share of boundaries within 20 ms."""
    distances = [abs(error) for error in errors]
    return {
        "boundaries": len(errors),
        "median_ms": round(1000 * statistics.median(distances), 1),
        "median_offset_ms": round(1000 * statistics.median(errors), 1),
        "within_20_ms": round(sum(distance <= NEAR for distance in distances) / len(distances), 4),
    }


if __name__ == "__main__":
    main()
