"""The trial of `seqloss.doctor`: faults planted in small trainings, healthy controls, and what was found.

    python benchmarks/doctor.py run --out runs/doctor.jsonl [--recipes ...] [--faults ...] [--seeds 0 1 2] [--workers 2]
    python benchmarks/doctor.py run --before-only --out runs/doctor-before.jsonl --seeds 0
    python benchmarks/doctor.py run --train-only --kinds control --out runs/doctor-targets.jsonl --seeds 0
    python benchmarks/doctor.py score runs/doctor.jsonl [--json benchmarks/results/doctor.json]
    python benchmarks/doctor.py overhead [--recipes ...] [--repeats 3]
    python benchmarks/doctor.py list

A run that is in the file is not run again, so that the command can be stopped and started. Recipes are in
doctor_trial/recipes/, faults and healthy variants in doctor_trial/faults/: patches of a recipe's source, with the
findings that count as the right cause.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from doctor_trial.driver import LIMIT, run_jobs
from doctor_trial.faults import FAULTS
from doctor_trial.jobs import list_jobs, read_lines
from doctor_trial.scoring import score


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--out", type=Path, default=Path("runs/doctor.jsonl"))
    run.add_argument("--recipes", nargs="*")
    run.add_argument("--faults", nargs="*")
    run.add_argument("--kinds", nargs="*", choices=("structural", "gradient", "other", "control"))
    run.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    run.add_argument("--workers", type=int, default=1)
    run.add_argument("--limit", type=float, default=LIMIT, help="seconds of a run")
    part = run.add_mutually_exclusive_group()
    part.add_argument("--before-only", action="store_true", help="examine, and do not train")
    part.add_argument("--train-only", action="store_true", help="train, and neither examine nor watch")
    scored = commands.add_parser("score")
    scored.add_argument("file", type=Path)
    scored.add_argument("--json", type=Path)
    timed = commands.add_parser("overhead")
    timed.add_argument("--recipes", nargs="*")
    timed.add_argument("--repeats", type=int, default=3)
    timed.add_argument("--json", type=Path)
    commands.add_parser("list")
    given = parser.parse_args(arguments)
    if given.command == "run":
        jobs = list_jobs(given.recipes, given.faults, given.seeds, given.kinds)
        seen = not given.train_only
        options = {"before_only": given.before_only, "examined": seen, "watched": seen, "rules": seen}
        run_jobs(jobs, given.out, workers=given.workers, limit=given.limit, **options)
    elif given.command == "score":
        found = score(read_lines(given.file))
        print(found.text())
        if given.json:
            given.json.write_text(json.dumps(found.figures, indent=1) + "\n")
    elif given.command == "overhead":
        from doctor_trial.overhead import measure_overhead

        measure_overhead(given.recipes, given.repeats, given.json)
    else:
        for fault in FAULTS.values():
            print(f"{fault.kind:10} {fault.name:32} {' '.join(fault.patches):70} {', '.join(fault.accepted)}")


if __name__ == "__main__":
    main()
