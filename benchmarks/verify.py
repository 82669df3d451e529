"""Who verifies the verifier: how many planted mistakes it finds, by which law, and whether it ever blames the right.

    python benchmarks/verify.py [--seeds 2] [--save]

Every mutant of tests/verify/mutants must violate its own law first; the plain implementation beside them and all that
seqloss offers must hold. `--save` writes benchmarks/results/verify.json with machine, versions and commit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table

from seqloss.verify import Effort, Implementation, Report, verify
from seqloss.verify.adapters import KNOWN_IMPLEMENTATIONS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.verify.mutants.planted import MUTANTS, PLAIN, Mutant, source_of  # noqa: E402

RIGHT = ["plain", *(name for name in KNOWN_IMPLEMENTATIONS if name.startswith("seqloss."))]


def effort(seed: int, mutant: Mutant | None = None) -> Effort:
    """Quick; two mistakes show at large sizes only."""
    large = mutant is not None and bool(mutant.laws & {"sizes", "long"})
    return Effort(seed=seed, stop_at_first=mutant is not None, full=large, limit=8.0 if large else 20.0)


def try_mutant(mutant: Mutant, seed: int, folder: Path) -> tuple[Report, float]:
    file = folder / "mutant.py"
    file.write_text(source_of(mutant), encoding="utf-8")
    start = time.monotonic()
    report = verify(Implementation(mutant.name, f"{file}:ctc"), effort=effort(seed, mutant))
    return report, time.monotonic() - start


def try_right(name: str, seed: int) -> tuple[Report, float]:
    implementation = Implementation("plain", f"{PLAIN}:ctc") if name == "plain" else KNOWN_IMPLEMENTATIONS[name]
    start = time.monotonic()
    return verify(implementation, effort=effort(seed)), time.monotonic() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--save", action="store_true")
    arguments = options.parse_args()
    console, err = Console(width=None if sys.stdout.isatty() else 120), Console(stderr=True)
    mutants, right = [], []
    with tempfile.TemporaryDirectory() as folder:
        for mutant, seed in track(
            [(m, s) for m in MUTANTS for s in range(arguments.seeds)], "mutants", console=err, transient=True
        ):
            report, seconds = try_mutant(mutant, seed, Path(folder))
            first = report.first_violation.law if report.first_violation else ""
            mutants.append(
                {
                    "mutant": mutant.name,
                    "seed": seed,
                    "laws": sorted(mutant.laws),
                    "first": first,
                    "cause": report.cause,
                    "seconds": round(seconds, 2),
                }
            )
    for name, seed in track(
        [(n, s) for n in RIGHT for s in range(arguments.seeds)], "right", console=err, transient=True
    ):
        report, seconds = try_right(name, seed)
        broken = [result.law for result in report.violated]
        row = {"name": name, "seed": seed, "violated": broken, "skipped": report.skipped, "seconds": round(seconds, 2)}
        right.append(row)
    figures = {
        "mutants": len(MUTANTS),
        "tries": len(mutants),
        "caught": sum(bool(row["first"]) for row in mutants),
        "missed": [row["mutant"] for row in mutants if not row["first"]],
        "law_named_first": sum(row["first"] in row["laws"] for row in mutants),
        "right_implementations": len(RIGHT),
        "false_alarms": [row["name"] for row in right if row["violated"] or row["skipped"]],
        "seconds_a_mutant": round(sum(row["seconds"] for row in mutants) / len(mutants), 2),
        "seconds_a_right_one": round(sum(row["seconds"] for row in right) / len(right), 2),
    }
    table = Table("figure", "value", title="the verifier")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), ", ".join(value) or "none" if isinstance(value, list) else str(value))
    console.print(table)
    packages = ("numpy", "torch", "jax", "keras", "tensorflow-cpu", "hypothesis")
    result = {"machine": machine(*packages), "figures": figures, "mutants": mutants, "right": right}
    if arguments.save:
        file = ROOT / "benchmarks" / "results" / "verify.json"
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {file.relative_to(ROOT)}")
    if figures["missed"] or figures["false_alarms"] or figures["law_named_first"] != figures["tries"]:
        sys.exit("a mistake was missed or blamed on another law, or a right implementation was blamed")


if __name__ == "__main__":
    main()
