"""One run: a patched recipe is examined, trained and watched; what was found, as one line of JSON."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch

from doctor_trial.faults import FAULTS
from doctor_trial.jobs import Job, Line
from doctor_trial.patched import loaded
from doctor_trial.sagemaker import Rules, rules_fired

OPTIONS = ("optimizer", "scheduler", "steps", "vocabulary", "texts", "held_out", "blank", "checkpoint")
"""Of `examine`, as far as a version has them."""


def run_job(
    job: Job, *, before_only: bool = False, examined: bool = True, watched: bool = True, rules: bool = True
) -> Line:
    """Errors of the recipe and of the doctor are kept in the line."""
    torch.set_num_threads(1)
    began, worked = time.perf_counter(), time.process_time()
    line: Line = {"recipe": job.recipe, "fault": job.fault, "seed": job.seed, "kind": FAULTS[job.fault].kind,
                  "before_only": before_only, "errors": {}}  # fmt: skip
    with _kept(line, "build"), loaded(job.recipe, job.fault) as module:
        run = module.build(job.seed)
        if examined:
            with _kept(line, "examine"):
                line |= examine_run(run)
        if not before_only:
            line |= train_run(module, run, line, watched, rules)
    line |= {
        "seconds": round(time.perf_counter() - began, 2),
        "processor_seconds": round(time.process_time() - worked, 2),
    }
    return line


@contextlib.contextmanager
def _kept(line: Line, part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        line["errors"][part] = f"{type(error).__name__}: {error}".splitlines()[0][:300]


def examine_run(run: SimpleNamespace) -> Line:
    """Before training, with all that this version of `examine` takes."""
    from seqloss.doctor import examine

    taken = inspect.signature(examine).parameters
    given = {name: getattr(run, name, None) for name in OPTIONS if name in taken}
    given = {name: value for name, value in given.items() if value is not None}
    began = time.perf_counter()
    findings = examine(run.model, run.train, run.loss, **given)
    seconds = time.perf_counter() - began
    return {
        "before": [_entry(finding) for finding in findings], "not_checked": dict(findings.not_checked),
        "examine_seconds": round(seconds, 3),
    }  # fmt: skip


def _entry(finding: Any) -> Line:
    evidence = {name: value if isinstance(value, int | float | str) else str(value)[:100]
                for name, value in finding.evidence.items()}  # fmt: skip
    return {"name": finding.name, "severity": finding.severity, "step": evidence.get("step", 0), "evidence": evidence}


class Plain:
    """Stands for the watch where there is none."""

    findings: tuple[Any, ...] = ()
    seconds = 0.0

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    def step(self, loss: Any, batch: Any) -> Any:
        return loss(self.model, batch)


class Recorder:
    """Stands between the loop and the watch: records losses and times of steps."""

    def __init__(self, watch: Any, run: SimpleNamespace, rules: bool) -> None:
        self.watch, self.run = watch, run
        self.rules = Rules(run.model, run.optimizer, self.held_out_loss) if rules else None
        self.losses: list[float] = []
        self.times: list[float] = []
        run.optimizer.register_step_post_hook(lambda *_: self.times.append(time.perf_counter()))

    def step(self, loss: Any, batch: Any) -> Any:
        value = self.watch.step(loss, batch)
        self.losses.append(float(value.detach()))
        if self.rules:
            self.rules.see_loss(self.losses[-1])
        return value

    def held_out_loss(self) -> float:
        model, modes = self.run.model, [(module, module.training) for module in self.run.model.modules()]
        with torch.no_grad(), torch.random.fork_rng([]):
            found = float(self.run.loss(model.eval(), self.run.held_out[0]))
        for part, mode in modes:
            part.training = mode
        return found


def train_run(module: Any, run: SimpleNamespace, line: Line, watched: bool = True, rules: bool = True) -> Line:
    """The training to its end, watched if this version can."""
    with contextlib.ExitStack() as stack:
        watch: Any = Plain(run.model)
        if watched:
            with _kept(line, "watch"):
                watch = _enter_watch(run, stack)
        recorder = Recorder(watch, run, rules)
        began, worked = time.perf_counter(), time.process_time()
        with _kept(line, "train"):
            module.train(run, recorder)
        seconds, processor_seconds = time.perf_counter() - began, time.process_time() - worked
        with _kept(line, "measure"):
            run.measure_at_end = module.measure(run)
    measure = getattr(run, "measure_at_end", math.nan)
    return {
        "during": [_entry(finding) for finding in watch.findings],
        "watch_not_checked": dict(getattr(watch.findings, "not_checked", {})),
        "train_seconds": round(seconds, 3), "train_processor_seconds": round(processor_seconds, 3),
        "watch_seconds": round(getattr(watch, "seconds", 0.0), 4),
        "median_step": _median_difference(recorder.times), "steps": len(recorder.times), "calls": len(recorder.losses),
        "first_losses": recorder.losses[:3], "last_loss": recorder.losses[-1] if recorder.losses else None,
        "history": [[step, round(value, 4)] for step, value in run.history], "measure": measure, "target": run.target,
        "reached": is_reached(run, measure), "steps_to_target": _first_reached(run),
        "rules": list(rules_fired(recorder.rules)) if recorder.rules else [], "weights": weights_hash(run.model),
    }  # fmt: skip


def _enter_watch(run: SimpleNamespace, stack: contextlib.ExitStack) -> Any:
    import seqloss.doctor

    if not hasattr(seqloss.doctor, "watch"):
        return Plain(run.model)
    taken = inspect.signature(seqloss.doctor.watch).parameters
    options = {
        "held_out": run.held_out[0],
        "scaler": getattr(run, "scaler", None),
        "blank": run.blank,
        "steps": run.steps,
    }
    return stack.enter_context(
        seqloss.doctor.watch(run.model, run.optimizer, **{name: one for name, one in options.items() if name in taken})
    )


def is_reached(run: SimpleNamespace, measure: float) -> bool:
    return measure <= run.target if run.better == "lower" else measure >= run.target


def _first_reached(run: SimpleNamespace) -> int | None:
    """The step of the first measure at the target."""
    return next((step for step, value in run.history if is_reached(run, value)), None)


def weights_hash(model: torch.nn.Module) -> str:
    found = hashlib.sha256()
    for tensor in model.state_dict().values():
        found.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def _median_difference(times: list[float]) -> float | None:
    gaps = sorted(after - before for before, after in pairwise(times))
    return gaps[len(gaps) // 2] if gaps else None
