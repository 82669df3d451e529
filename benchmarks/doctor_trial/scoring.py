"""Recall, first and first three causes, false alarms, precision and time of naming, from the lines of runs."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from doctor_trial.baselines import BASELINES, expected_at_random
from doctor_trial.fault import DEVELOPMENT, RECIPES, SCORED, SEEN
from doctor_trial.faults import FAULTS
from doctor_trial.jobs import Line

HEALTHY = "as-it-is"
FIRST_STEPS = 3


@dataclass(frozen=True)
class Score:
    """Figures by group of recipes, as plain data."""

    figures: dict[str, Any]

    def text(self) -> str:
        out = []
        for group, found in self.figures.items():
            out += ["", f"## {group}", ""]
            out += [f"{name:58} {_show(value)}" for name, value in found.items() if name not in ("classes", "controls")]
            out += [
                "",
                f"{'class':32} {'kind':10} {'runs':>5} {'before':>7} {'found':>7} {'first':>7} {'three':>7}  others",
            ]
            for name, one in found["classes"].items():
                others = ", ".join(f"{other} {count}" for other, count in one["other names"].items())
                out.append(f"{name:32} {one['kind']:10} {one['runs']:5} {one['before']:7.0%} {one['found']:7.0%} "
                           f"{one['first']:7.0%} {one['first three']:7.0%}  {others}")  # fmt: skip
            out += ["", f"{'control':32} {'runs':>5} {'healthy':>8} {'alarms':>7}  names"]
            for name, one in found["controls"].items():
                names = ", ".join(f"{other} {count}" for other, count in one["names"].items())
                out.append(f"{name:32} {one['runs']:5} {one['healthy']:8} {one['alarms']:7}  {names}")
        return "\n".join(out)


def score(lines: Sequence[Line]) -> Score:
    """For recipes that were developed on, for those seen since, for those that nobody has seen, and for all."""
    groups = {"development": DEVELOPMENT, "seen": SEEN, "scored": SCORED, "all": RECIPES}
    healthy = steps_to_target(lines)
    return Score({
        name: _figures([line for line in lines if line["recipe"] in recipes], healthy)
        for name, recipes in groups.items()
        if any(line["recipe"] in recipes for line in lines)
    })  # fmt: skip


def steps_to_target(lines: Iterable[Line]) -> dict[str, float]:
    """Of a recipe as it is; the median over its seeds."""
    found: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        if line["fault"] == HEALTHY and line.get("steps_to_target"):
            found[line["recipe"]].append(line["steps_to_target"])
    return {recipe: statistics.median(steps) for recipe, steps in found.items()}


def named(line: Line) -> list[Line]:
    """All findings in the order in which a reader sees them; a name counts once."""
    during = sorted(line.get("during", ()), key=lambda entry: entry["step"])
    found: dict[str, Line] = {}
    for entry in [*({**entry, "step": 0} for entry in line.get("before", ())), *during]:
        found.setdefault(entry["name"], entry)
    return list(found.values())


def alarms(line: Line) -> list[Line]:
    """Without notes, which healthy trainings may have."""
    return [entry for entry in named(line) if entry["severity"] != "note"]


def is_right(line: Line, entry: Mapping[str, Any]) -> bool:
    return entry["name"] in FAULTS[line["fault"]].accepted


def _figures(lines: Sequence[Line], healthy: Mapping[str, float]) -> dict[str, Any]:
    faulty = [line for line in lines if line["kind"] != "control"]
    controls = [line for line in lines if line["kind"] == "control"]
    shown = [line for line in controls if line.get("reached") or line.get("before_only")]
    structural = [line for line in faulty if line["kind"] == "structural"]
    gradient = [line for line in faulty if line["kind"] == "gradient"]
    others = [line for line in faulty if line["kind"] == "other"]
    findings = [(line, entry) for line in [*faulty, *shown] for entry in alarms(line)]
    shares = [step / healthy[line["recipe"]] for line in others
              if (step := step_of_naming(line)) is not None and healthy.get(line["recipe"])]  # fmt: skip
    found: dict[str, Any] = {
        "faulty runs": len(faulty),
        "classes of faults": len({line["fault"] for line in faulty}),
        "structural runs with the right cause before training": _share(structural, _is_found_before),
        "structural classes with it in all runs": _share_of_classes(structural, _is_found_before),
        "runs with the right cause": _share(faulty, _is_found),
        "runs with the right cause first": _share(faulty, lambda line: any(is_right(line, e) for e in named(line)[:1])),
        "runs with the right cause among the first three":
            _share(faulty, lambda line: any(is_right(line, e) for e in named(line)[:3])),
        "faulty runs with any alarm": _share(faulty, lambda line: bool(alarms(line))),
        "gradient runs named within three steps":
            _share(gradient, lambda line: (step := step_of_naming(line)) is not None and step <= FIRST_STEPS),
        "other runs named: median share of the healthy steps to target": statistics.median(shares) if shares else None,
        "control runs": len(controls),
        "control runs that reached their target": len([line for line in controls if line.get("reached")]),
        "controls with any alarm": len([line for line in shown if alarms(line)]),
        "findings": len(findings),
        "findings that are right": _share(findings, lambda pair: is_right(*pair)),
        "runs with an error of the recipe or the doctor": len([line for line in lines if line.get("errors")]),
        "seconds of examine, largest": max((line.get("examine_seconds", 0.0) for line in lines), default=None),
        "share of the time spent on watching, median": _median(
            line["watch_seconds"] / line["train_seconds"] for line in lines if line.get("train_seconds")),
    }  # fmt: skip
    for name, judge in BASELINES.items():
        found |= {f"{name}: {figure}": value for figure, value in judge(faulty, shown).items()}
    found |= {f"random naming: {figure}": value for figure, value in expected_at_random(faulty).items()}
    return found | {"classes": _by_class(faulty), "controls": _by_control(controls)}


def step_of_naming(line: Line) -> int | None:
    return next((entry["step"] for entry in named(line) if is_right(line, entry)), None)


def _is_found_before(line: Line) -> bool:
    return any(is_right(line, entry) for entry in line.get("before", ()))


def _is_found(line: Line) -> bool:
    return step_of_naming(line) is not None


def _share(found: Sequence[Any], judge: Callable[[Any], bool]) -> float | None:
    return sum(map(judge, found)) / len(found) if found else None


def _share_of_classes(lines: Sequence[Line], judge: Callable[[Line], bool]) -> float | None:
    classes = {line["fault"] for line in lines}
    return _share(sorted(classes), lambda name: all(judge(line) for line in lines if line["fault"] == name))


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


def _by_class(faulty: Sequence[Line]) -> dict[str, Any]:
    found = {}
    for name in dict.fromkeys(line["fault"] for line in faulty):
        runs = [line for line in faulty if line["fault"] == name]
        others = Counter(entry["name"] for line in runs for entry in named(line) if not is_right(line, entry))
        found[name] = {
            "kind": runs[0]["kind"], "runs": len(runs),
            "before": _share(runs, _is_found_before), "found": _share(runs, _is_found),
            "first": _share(runs, lambda line: any(is_right(line, e) for e in named(line)[:1])),
            "first three": _share(runs, lambda line: any(is_right(line, e) for e in named(line)[:3])),
            "missed in": sorted({line["recipe"] for line in runs if not _is_found(line)}),
            "other names": dict(others.most_common()),
        }  # fmt: skip
    return found


def _by_control(controls: Sequence[Line]) -> dict[str, Any]:
    found = {}
    for name in dict.fromkeys(line["fault"] for line in controls):
        runs = [line for line in controls if line["fault"] == name]
        names = Counter(f"{entry['name']} ({line['recipe']})" for line in runs for entry in named(line))
        found[name] = {
            "runs": len(runs), "healthy": sum(bool(line.get("reached")) for line in runs),
            "alarms": sum(bool(alarms(line)) for line in runs), "names": dict(names.most_common()),
        }  # fmt: skip
    return found


def _show(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
