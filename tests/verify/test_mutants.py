"""Every planted mistake is found, and the law that it breaks is named first; the right implementation breaks none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seqloss.verify import QUICK, Effort, verify
from seqloss.verify.implementation import Implementation
from seqloss.verify.law_check import check_law
from seqloss.verify.laws import LAWS
from seqloss.verify.processes import InProcess
from seqloss.verify.report import VIOLATED
from seqloss.verify.runner import Runner
from seqloss.verify.typical_causes import TYPICAL_CAUSES
from tests.verify.mutants import plain
from tests.verify.mutants.planted import MUTANTS, Mutant, load, source_of

LARGE = {"hangs-when-long"}
"""Mistakes that show at sizes which a quick look leaves out."""

SOON = {mutant.law: mutant.name for mutant in reversed(MUTANTS) if mutant.name not in LARGE}
"""Of the mistakes that break a law first, the one that `make test` plants; `make test-long` plants all."""

DEADLY = {"crashes-without-frames", "hangs-when-long"}
"""Mistakes that a process of their own must bear."""

NAMES = [law.name for law in LAWS]

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 20))]


LIKELY_CAUSES = {
    "softmax-twice": "softmax is applied twice",
    "divided-by-batch": "divided by the batch size",
    "repeats-merge": "merged without a blank",
    "lengths-swapped": "are swapped",
    "frames-as-shares": "logit_lengths are computed from fractions of the time axis and truncated; round them",
    "labels-as-shares": "target_lengths are computed from fractions of the label axis and truncated; round them",
    "lengths-truncated-in-float32": "lengths are computed from fractions of the axis and truncated; round them",
    "lengths-truncated-in-float64": "truncated; round them (in float64, 15 of 22 becomes 14)",
    "frames-truncated-in-float16": "truncated; round them (in float16, 1 of 11 becomes 0)",
    "labels-truncated-in-bfloat16": "truncated; round them (in bfloat16, 13 of 21 becomes 12)",
    "frames-rounded-up-in-float32": "rounded up; round them (in float32, 7 of 13 becomes 8)",
    "labels-rounded-up-in-float64": "rounded up; round them (in float64, 7 of 25 becomes 8)",
    "lengths-rounded-in-bfloat16": "in bfloat16, which has too few digits",
    "softmax-over-time": "softmax is over the time axis instead of the classes",
    "softmax-over-used-frames": "softmax is over the time axis instead of the classes",
    "softmax-over-batch": "softmax is over the batch axis instead of the classes",
    "target-repeats-merged": "repeated labels are merged in the target",
    "blank-always-0": "blank is always class 0",
    "gradient-by-log-probs": "with respect to log-probabilities",
    "labels-clipped": "clipped to the range of classes",
    "labels-reversed": "in reverse order",
    "probability-for-loss": "the probability, not its negative logarithm",
    "scores-halved": "multiplied by 0.5 before softmax",
    "gradient-doubled": "the gradient is 2 times",
}
"""The words of the likely cause that a report names, by mutant."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "mutant",
    [pytest.param(m, id=m.name, marks=[] if m.name in SOON.values() else [pytest.mark.long]) for m in MUTANTS],
)
def test_a_planted_mistake_breaks_its_law_first_and_its_cause_is_named(
    mutant: Mutant, seed: int, tmp_path: Path
) -> None:
    if mutant.name == "hangs-when-long" and seed != 0:
        pytest.skip("a hang takes its time limit, and needs no search")
    effort = Effort(
        examples=1 if seed == 0 else 3,
        seed=seed,
        stop_at_first=True,
        minimize=False,
        full=mutant.name in LARGE,
        limit=5.0,
        powers=(16, 256) if mutant.law == "sizes" else (),
    )
    (tmp_path / "mutant.py").write_text(source_of(mutant), encoding="utf-8")
    types = ("float64", "float32") if mutant.name in LARGE else ("float64",)
    later = dict.fromkeys(NAMES[1 + max(map(NAMES.index, mutant.laws)) :], "after the law that it breaks")
    implementation = Implementation(mutant.name, f"{tmp_path / 'mutant.py'}:ctc", dtypes=types, unsupported=later)
    report = verify(implementation, effort=effort, in_subprocess=mutant.name in DEADLY)
    assert report.first_violation is not None, "missed"
    assert report.first_violation.law in mutant.laws, str(report)
    assert report.first_violation.outcome == ("careless" if mutant.careless else "wrong")
    assert LIKELY_CAUSES.get(mutant.name, "") in report.cause


@pytest.mark.parametrize("seed", SEEDS)
def test_the_right_one_breaks_no_law(seed: int) -> None:
    report = verify(
        Implementation("plain", plain.ctc), effort=Effort(examples=12, seed=seed, powers=(16,)), in_subprocess=False
    )
    assert report.strictly_ok, str(report)


NOT_FIRST = {
    "unused-class": "last-class-not-summed",
    "softmax-minus-posterior": "gradient-upside-down",
    "definition": "best-path",
}
"""Laws that no mutant breaks first: an earlier one sees it too. Each with a mutant that it sees by itself."""


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_can_be_broken(law) -> None:
    if law.name == "rising-score":
        implementation = Implementation("turned", against_the_scores, scores="log_probs")
    else:
        name = NOT_FIRST.get(law.name)
        mutant = next(m for m in MUTANTS if m.name == name or (name is None and law.name in m.laws))
        if mutant.name in DEADLY:
            pytest.skip("seen in a process of its own, above")
        implementation = Implementation(mutant.name, load(mutant))
    effort = Effort(examples=6, full=law.name == "sizes", powers=(16, 256))
    assert check_law(law, Runner(InProcess(implementation)), effort).status == VIOLATED


def against_the_scores(logits, targets, logit_lengths, target_lengths, blank):
    """Log-probabilities whose sign was forgotten."""
    return plain.ctc(-logits, targets, logit_lengths, target_lengths, blank)


def test_likely_causes_are_those_of_planted_mistakes() -> None:
    assert set(LIKELY_CAUSES) <= {mutant.name for mutant in MUTANTS}


def test_every_law_has_a_usual_cause() -> None:
    assert set(TYPICAL_CAUSES) >= {law.name for law in LAWS}


def test_a_failure_is_small_and_its_lines_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "repeats-merge")
    patient = replace(QUICK, seconds=120.0)  # a busy machine finds as small a problem as an idle one
    left_out = {name: "left out" for name in NAMES if name not in mutant.laws}
    report = verify(Implementation("ctc", load(mutant), unsupported=left_out), effort=patient, in_subprocess=False)
    assert report.first_violation is not None
    assert report.first_violation.finding is not None
    lines = report.first_violation.finding.script
    assert len(lines.splitlines()) <= 12, lines
    exec(lines, {load(mutant).__name__: load(mutant)})
    assert capsys.readouterr().out.startswith("[0.47")
