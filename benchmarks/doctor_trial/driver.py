"""Runs jobs, each in its own process with a time limit, and appends a line for each."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from doctor_trial.faults import FAULTS
from doctor_trial.jobs import Job, Line, append_line, missing

LIMIT = 180.0
"""Seconds of a run."""


@dataclass
class Running:
    job: Job
    process: Any
    results: Connection
    began: float


def run_jobs(jobs: Sequence[Job], file: Path, *, workers: int = 1, limit: float = LIMIT, **options: bool) -> int:
    """Run those that the file lacks; returns how many were run."""
    waiting = missing(jobs, file)
    print(f"{len(jobs)} runs, {len(jobs) - len(waiting)} of them in {file}", flush=True)
    context = multiprocessing.get_context("forkserver")  # children begin with what an optimiser imports
    context.set_forkserver_preload(["torch", "torch._dynamo", "seqloss.doctor.examination", "doctor_trial.one_run"])
    running: list[Running] = []
    done, total = 0, len(waiting)
    while waiting or running:
        while waiting and len(running) < workers:
            running.append(_start(context, waiting.pop(0), options))
        time.sleep(0.05)
        for one in list(running):
            line = _result(one, limit, options)
            if line is not None:
                running.remove(one)
                append_line(file, line)
                done += 1
                print(f"{done}/{total} {describe(line)}", flush=True)
    return done


def _start(context: Any, job: Job, options: dict[str, bool]) -> Running:
    results, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, job, options))
    process.start()
    theirs.close()
    return Running(job, process, results, time.perf_counter())


def _child(results: Connection, job: Job, options: dict[str, bool]) -> None:
    from doctor_trial.one_run import run_job

    results.send(run_job(job, **options))


def _result(one: Running, limit: float, options: dict[str, bool]) -> Line | None:
    """The line of a run that has ended, or was ended after its time; None while it runs."""
    error = None
    if one.results.poll():
        try:
            line: Line = one.results.recv()
            one.process.join()
            return line
        except EOFError:
            one.process.join()
            error = f"ended with exit code {one.process.exitcode}"
    elif time.perf_counter() - one.began > limit:
        one.process.kill()
        one.process.join()
        error = f"not done after {limit:g} s"
    elif not one.process.is_alive():
        error = f"ended with exit code {one.process.exitcode}"
    if error is None:
        return None
    job = one.job
    return {"recipe": job.recipe, "fault": job.fault, "seed": job.seed, "kind": FAULTS[job.fault].kind,
            "before_only": options.get("before_only", False), "errors": {"run": error}}  # fmt: skip


def describe(line: Line) -> str:
    """For the terminal."""
    before = ",".join(entry["name"] for entry in line.get("before", ())) or "-"
    during = ",".join(f"{entry['name']}@{entry['step']}" for entry in line.get("during", ())) or "-"
    measure = (
        "" if "measure" not in line else f" measure {line['measure']:.3f} {'reached' if line['reached'] else 'MISSED'}"
    )
    wrong = "".join(f" {part}: {text}" for part, text in line["errors"].items())
    name = f"{line['recipe']} {line['fault']} {line['seed']}"
    return f"{name}: before {before}; during {during};{measure} {line.get('seconds', 0)} s{wrong}"
