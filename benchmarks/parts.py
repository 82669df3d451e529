"""Optimisers and layers beside what people use: time and memory.

    python benchmarks/parts.py [PART ...] [--rounds 9] [--write]

Parts: `recurrent` (torch's packed path by hand), `optimizers` (RMSprop, Adam) and `table` (dense Adam, two optimisers
by hand). `--write` puts what was measured into results/parts.json and leaves the other parts there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import optimizer_steps
import recurrent
import sparse_table
import torch
from machine import machine

PARTS = {"recurrent": recurrent.measure, "optimizers": optimizer_steps.measure, "table": sparse_table.measure}
RESULTS = Path(__file__).parent / "results" / "parts.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"PART: found {', '.join(sorted(unknown))}, expected some of {', '.join(PARTS)}")
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in asked.parts or PARTS:
        cases = PARTS[part](asked.rounds)
        results[part] = {"machine": machine("torch"), "rounds": asked.rounds, "cases": cases}
        for case, ways in cases.items():
            print(f"{part}: {case}", *(describe(name, way) for name, way in ways.items()), sep="\n", flush=True)
    if asked.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def describe(name: str, figures: dict[str, object]) -> str:
    return f"    {name:28}" + "  ".join(f"{key} {found}" for key, found in figures.items())


if __name__ == "__main__":
    main()
