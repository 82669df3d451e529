"""What the same runs give without statistics, with SageMaker's rules, and by naming at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import Any

from doctor_trial.faults import FAULTS
from doctor_trial.jobs import Line
from doctor_trial.sagemaker import CAUSES

STATISTICS = frozenset({
    "batches-in-order-of-class", "batches-in-order-of-length", "collapsed-to-blanks", "decay-outweighs-gradient",
    "embeddings-collapsed", "evaluation-differs", "first-loss-too-high", "held-out-scaled-otherwise", "inputs-masked",
    "inputs-not-scaled", "inputs-off-centre", "layer-blocked", "layer-dead", "layer-saturated", "only-blanks",
    "outputs-clipped", "pairs-shifted", "input-not-used", "predicts-the-average", "rates-differ", "rows-not-learnt",
    "steps-skipped", "targets-outside-outputs", "training-inputs-masked", "unknown-symbols", "updates-too-large",
})  # fmt: skip
"""Findings with a threshold that no law gives; all others are laws."""


def _judge(faulty: Sequence[Line], controls: Sequence[Line], names: Callable[[Line], list[set[str]]]) -> dict[str, Any]:
    """Figures of a judge that gives, for a run, sets of causes in their order."""
    right = [[bool(one & set(FAULTS[line["fault"]].accepted)) for one in names(line)] for line in faulty]
    count = max(1, len(faulty))
    return {
        "runs with any alarm": sum(map(bool, right)) / count,
        "runs with the right cause": sum(map(any, right)) / count,
        "runs with the right cause first": sum(any(one[:1]) for one in right) / count,
        "controls with any alarm": sum(bool(names(line)) for line in controls),
    }


def _laws(line: Line) -> list[set[str]]:
    found = [*line.get("before", ()), *sorted(line.get("during", ()), key=lambda entry: entry["step"])]
    return [{entry["name"]} for entry in found if entry["name"] not in STATISTICS]


def _rules(line: Line) -> list[set[str]]:
    return [set(CAUSES[entry["rule"]]) for entry in line.get("rules", ())]


BASELINES: dict[str, Callable[[Sequence[Line], Sequence[Line]], dict[str, Any]]] = {
    "laws alone": lambda faulty, controls: _judge(faulty, controls, _laws),
    "SageMaker's rules": lambda faulty, controls: _judge(faulty, controls, _rules),
}


def expected_at_random(faulty: Sequence[Line]) -> dict[str, Any]:
    """Of one name, and of three different ones, drawn from all accepted names of the trial."""
    all_names = {name for fault in FAULTS.values() for name in fault.accepted}
    accepted = [len(set(FAULTS[line["fault"]].accepted)) for line in faulty]
    count, size = max(1, len(faulty)), len(all_names)
    return {
        "runs with the right cause first": sum(one / size for one in accepted) / count,
        "runs with the right cause among three": sum(1 - comb(size - one, 3) / comb(size, 3) for one in accepted)
        / count,
    }
