"""Each patch of the trial applies once; runs are kept, not repeated; the figures of a score are those by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from doctor_trial import jobs  # noqa: E402
from doctor_trial.fault import DEVELOPMENT, RECIPES, SCORED, SEEN, apply  # noqa: E402
from doctor_trial.faults import FAULTS  # noqa: E402
from doctor_trial.jobs import Job, append_line, list_jobs, missing, read_lines  # noqa: E402
from doctor_trial.patched import SOURCES, patched_source  # noqa: E402
from doctor_trial.scoring import score  # noqa: E402

CONTROLS = [fault for fault in FAULTS.values() if fault.kind == "control"]
PLANTED = [fault for fault in FAULTS.values() if fault.kind != "control"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_patch_applies_once_and_changes_the_recipe(fault) -> None:
    assert fault.patches
    for recipe in fault.patches:
        found = patched_source(recipe, fault.name)
        compile(found, recipe, "exec")
        assert (found == (SOURCES / f"{recipe}.py").read_text()) == (fault.name == "as-it-is")


def test_a_patch_whose_text_is_missing_or_repeated_is_an_error() -> None:
    assert apply("a b", (("a", "c"),)) == "c b"
    with pytest.raises(ValueError, match="found 0 times"):
        apply("a b", (("c", "d"),))
    with pytest.raises(ValueError, match="found 2 times"):
        apply("a a", (("a", "b"),))


def test_the_trial_is_as_large_as_it_has_to_be() -> None:
    assert len({fault.source for fault in PLANTED if "#" in fault.source}) >= 45  # threads
    assert sum(recipe in SCORED for fault in CONTROLS for recipe in fault.patches) * 3 >= 300  # three seeds
    assert len({fault.name for fault in CONTROLS if set(fault.patches) & set(SCORED)}) >= 20
    assert (len(DEVELOPMENT), len(SEEN), len(SCORED)) == (3, 10, 5)
    assert not set(DEVELOPMENT) & set(SCORED)
    assert not set(SEEN) & set(SCORED)
    for recipes, count in ((DEVELOPMENT, 40), (SEEN, 40), (SCORED, 45)):
        assert len({fault.name for fault in PLANTED if set(fault.patches) & set(recipes)}) >= count
    assert {path.stem for path in SOURCES.glob("*.py")} - {"__init__"} == set(RECIPES)


def test_each_fault_has_a_cause_and_no_control_has_one() -> None:
    assert all(fault.accepted and fault.source for fault in PLANTED)
    assert not any(fault.accepted for fault in CONTROLS)


def test_a_run_in_the_file_is_not_run_again(tmp_path) -> None:
    wanted = list_jobs(["strokes"], ["as-it-is", "softmax-twice"], [0, 1])
    assert [job.key for job in wanted] == [
        ("strokes", "softmax-twice", 0), ("strokes", "as-it-is", 0),
        ("strokes", "softmax-twice", 1), ("strokes", "as-it-is", 1),
    ]  # fmt: skip
    file = tmp_path / "runs" / "found.jsonl"
    assert missing(wanted, file) == wanted
    append_line(file, {"recipe": "strokes", "fault": "softmax-twice", "seed": 0, "errors": {"run": "not done"}})
    with file.open("a") as out:
        out.write('{"recipe": "strokes", "fau')  # the computer was switched off
    assert missing(wanted, file) == wanted[1:]
    append_line(file, {"recipe": "strokes", "fault": "as-it-is", "seed": 0})
    assert [line["fault"] for line in read_lines(file)] == ["softmax-twice", "as-it-is"]
    assert missing(wanted, file) == wanted[2:]


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(SystemExit, match="unknown: nothing"):
        list_jobs(None, ["nothing"], [0])


def line(recipe: str, fault: str, before: str = "", during: str = "", **more) -> jobs.Line:
    """`during` is such as "name@3"."""
    seen = [one.split("@") for one in during.split()]
    return {
        "recipe": recipe, "fault": fault, "seed": 0, "kind": FAULTS[fault].kind, "errors": {},
        "before": [{"name": name, "severity": "error"} for name in before.split()],
        "during": [{"name": name, "severity": "error", "step": int(step)} for name, step in seen],
        "rules": [], **more,
    }  # fmt: skip


def test_figures_are_those_by_hand() -> None:
    lines = [
        line("strokes", "as-it-is", steps_to_target=100, reached=True),
        line("strokes", "nadam", before="softmax-twice", reached=True),
        line("strokes", "weight-decay", before="softmax-twice", reached=False),  # not shown to be healthy
        line("strokes", "softmax-twice", before="softmax-twice"),
        line(
            "strokes", "relu-head", before="weights-unused outputs-clipped", rules=[{"rule": "dead-relu", "step": 10}]
        ),
        line("strokes", "no-zero-grad", during="gradients-not-zeroed@2"),
        line("strokes", "evaluated-in-training-mode", during="evaluated-in-training-mode@5 layer-dead@4"),
        line("words", "blank-elsewhere"),
    ]
    found = score(lines).figures
    seen, everything = found["seen"], found["all"]
    assert (seen["faulty runs"], everything["faulty runs"]) == (4, 5)
    assert "scored" not in found
    assert seen["structural runs with the right cause before training"] == 1.0
    assert everything["structural runs with the right cause before training"] == pytest.approx(2 / 3)
    assert everything["structural classes with it in all runs"] == pytest.approx(2 / 3)
    assert everything["runs with the right cause"] == pytest.approx(4 / 5)
    assert everything["runs with the right cause first"] == pytest.approx(2 / 5)
    assert everything["runs with the right cause among the first three"] == pytest.approx(4 / 5)
    assert everything["gradient runs named within three steps"] == 1.0
    assert everything["other runs named: median share of the healthy steps to target"] == pytest.approx(0.05)
    assert (everything["control runs"], everything["control runs that reached their target"]) == (3, 2)
    assert everything["controls with any alarm"] == 1
    assert everything["findings"] == 7
    assert everything["findings that are right"] == pytest.approx(4 / 7)
    assert everything["laws alone: runs with the right cause first"] == pytest.approx(3 / 5)
    assert everything["SageMaker's rules: runs with the right cause"] == pytest.approx(1 / 5)
    assert everything["SageMaker's rules: controls with any alarm"] == 0
    assert everything["classes"]["relu-head"]["other names"] == {"weights-unused": 1}
    assert everything["classes"]["blank-elsewhere"]["missed in"] == ["words"]
    assert "relu-head" in score(lines).text()
    json.dumps(found)


def test_one_run_has_what_the_score_reads() -> None:
    from doctor_trial.one_run import run_job

    found = run_job(Job("strokes", "softmax-twice", 0), before_only=True)
    assert "softmax-twice" in [entry["name"] for entry in found["before"]]
    assert not found["errors"]
    assert found["examine_seconds"] < 30
    json.dumps(found)
