"""Wrong or careless: a correct CTC without checks passes with remarks; wrong values never do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqloss.verify import Effort, Implementation, Report, verify
from seqloss.verify.law_check import check_law
from seqloss.verify.laws import LAWS
from seqloss.verify.processes import InProcess
from seqloss.verify.report import LawResult
from seqloss.verify.runner import Runner
from tests.verify import ordinary
from tests.verify.mutants import plain

EFFORT = Effort(examples=2, seconds=1.0, minimize=False, powers=())
ORDINARY = [ordinary.log_space, ordinary.log_space_in_float32]


def result_of(law: str, function: Callable, **promises: Any) -> LawResult:
    one = next(each for each in LAWS if each.name == law)
    return check_law(one, Runner(InProcess(Implementation("f", function, **promises))), EFFORT)


def remarks_of(report: Report) -> set[str]:
    assert report.ok, str(report)
    return {result.law for result in report.remarks}


@pytest.mark.parametrize("function", ORDINARY, ids=lambda function: function.__name__)
def test_a_correct_loss_without_checks_has_remarks_and_nothing_wrong(function: Callable) -> None:
    report = verify(Implementation("f", function), effort=EFFORT, in_subprocess=False)
    assert {"refuses-labels", "refuses-lengths", "empty"} <= remarks_of(report)
    assert not report.strictly_ok
    in_float32 = function is ordinary.log_space_in_float32  # whatever the type of the logits
    assert ("digits" in remarks_of(report)) == in_float32
    types = ["float32"] if in_float32 else ["float64", "float32"]
    assert [error.dtype for error in report.numerical_errors] == types


def test_float64_that_is_promised_alone_is_not_excused() -> None:
    implementation = Implementation("f", ordinary.log_space_in_float32, dtypes=("float64",))
    report = verify(implementation, effort=Effort(examples=1, stop_at_first=True), in_subprocess=False)
    assert [result.law for result in report.wrong] == ["digits"]


def changed(change: Callable) -> Callable:
    """`plain.ctc`, whose loss and gradient are changed in place, given the logits, targets and both lengths."""

    def function(*given: Any) -> Any:
        loss, gradient = plain.ctc(*given)
        change(loss, gradient, *given[:4])
        return loss, gradient

    return function


def infeasible_loss(value: float, slope: float = 0.0) -> Callable:
    def change(loss: Any, gradient: Any, *given: Any) -> None:
        gradient[np.isposinf(loss)] = slope
        loss[np.isposinf(loss)] = value

    return changed(change)


def where(rows: Callable, loss: float | None = None, slope: float | None = None) -> Callable:
    """Another loss and gradient in the rows that a function of logits, targets and lengths selects."""

    def change(losses: Any, gradient: Any, *given: Any) -> None:
        chosen = rows(*given)
        losses[chosen] = losses[chosen] if loss is None else loss
        gradient[chosen] = gradient[chosen] if slope is None else slope

    return changed(change)


def infeasible_row_spreads(loss: Any, gradient: Any, *given: Any) -> None:
    if np.isposinf(loss).any():
        gradient[np.isfinite(loss)] = np.nan


def minus_inf(logits: Any, *given: Any) -> Any:
    return np.isneginf(logits).any(axis=(1, 2))


def has_nan(logits: Any, *given: Any) -> Any:
    return np.isnan(logits).any(axis=(1, 2))


def beside_nan(logits: Any, *given: Any) -> Any:
    return ~has_nan(logits) & has_nan(logits).any()


def no_labels(logits: Any, targets: Any, frames: Any, labels: Any) -> Any:
    return (labels == 0) & (frames > 0)


def no_frames(logits: Any, targets: Any, frames: Any, labels: Any) -> Any:
    return frames == 0


def lower_by(nats: float) -> Callable:
    def change(loss: Any, *given: Any) -> None:
        loss[loss < 1e-9] -= nats

    return changed(change)


def refuses_int32(logits: Any, targets: Any, *given: Any) -> Any:
    if targets.dtype == np.int32:
        raise TypeError("int64 labels were expected")
    return plain.ctc(logits, targets, *given)


def wrong_in_int32(logits: Any, targets: Any, *given: Any) -> Any:
    return plain.ctc(logits, targets[:, ::-1] if targets.dtype == np.int32 else targets, *given)


def refuses_empty_batches_and_forgets_empty_targets(logits: Any, *given: Any) -> Any:
    if len(logits) == 0:
        raise ValueError("no rows")
    return where(no_labels, loss=0.5)(logits, *given)


NAN = float("nan")

SEVERITIES = [
    ("rounding below 0", "non-negative", lower_by(1e-16), "careless"),
    ("a loss of -0.3", "non-negative", lower_by(0.3), "wrong"),
    ("NaN where a score is -inf", "closed-scores", where(minus_inf, NAN, NAN), "careless"),
    ("a number where a score is -inf", "closed-scores", where(minus_inf, 0.5), "wrong"),
    ("a gradient of 0 where a score is -inf", "closed-scores", where(minus_inf, slope=0.0), "wrong"),
    ("a huge loss for no path", "impossible", infeasible_loss(1e30), "careless"),
    ("NaN gradient for no path", "impossible", infeasible_loss(np.inf, NAN), "careless"),
    ("0 for no path, without promise", "impossible", infeasible_loss(0.0), "careless"),
    ("0 for no path, with a gradient", "impossible", infeasible_loss(0.0, 0.1), "wrong"),
    ("a plausible loss for no path", "impossible", infeasible_loss(3.0), "wrong"),
    ("no path spoils other rows", "impossible", changed(infeasible_row_spreads), "wrong"),
    ("NaN padding gives NaN", "nan-in-padding", where(has_nan, NAN, NAN), "careless"),
    ("NaN padding gives a number", "nan-in-padding", where(has_nan, 0.5), "wrong"),
    ("NaN gives a number", "nan-in-a-row", where(has_nan, 0.5), "careless"),
    ("NaN spoils other rows", "nan-in-a-row", where(beside_nan, slope=NAN), "wrong"),
    ("NaN without labels", "empty", where(no_labels, NAN, NAN), "careless"),
    ("a number without labels", "empty", where(no_labels, 0.5), "wrong"),
    ("a number without frames", "empty", where(no_frames, 0.5), "careless"),
    ("careless first, wrong later", "empty", refuses_empty_batches_and_forgets_empty_targets, "wrong"),
    ("int32 is refused", "memory-layout", refuses_int32, "careless"),
    ("int32 is misread", "memory-layout", wrong_in_int32, "wrong"),
]


@pytest.mark.parametrize(("law", "function", "severity"), [pytest.param(*x[1:], id=x[0]) for x in SEVERITIES])
def test_what_a_law_finds_decides_the_severity(law: str, function: Callable, severity: str) -> None:
    result = result_of(law, function)
    assert result.outcome == severity, result


def test_zero_for_no_path_is_told_how_to_be_declared() -> None:
    finding = result_of("impossible", infeasible_loss(0.0)).finding
    assert finding is not None
    assert "--zero-infinity" in finding.reason


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        (infeasible_loss(0.0), "holds"),
        (infeasible_loss(np.inf), "wrong"),
        (infeasible_loss(0.0, 0.1), "wrong"),
        (infeasible_loss(0.0, NAN), "wrong"),
        (infeasible_loss(1e30), "wrong"),
    ],
    ids=["zeros", "inf", "a gradient", "a NaN gradient", "a huge loss"],
)
def test_promised_zero_infinity_is_exactly_0(function: Callable, outcome: str) -> None:
    result = result_of("impossible", function, zero_infinity=True)
    assert result.outcome == outcome
    if result.finding:
        assert "infeasible rows are not replaced one by one" in result.finding.cause


def test_rows_without_frames_have_a_cause_of_their_own() -> None:
    finding = result_of("empty", ORDINARY[0]).finding
    assert finding is not None
    assert "the first frame of a row without frames" in finding.cause


def test_one_that_keeps_zero_infinity_is_right_everywhere() -> None:
    needed = {"answers", "closed-scores", "impossible", "nan-in-a-row", "empty"}
    left_out = {law.name: "left out" for law in LAWS if law.name not in needed}
    implementation = Implementation("f", infeasible_loss(0.0), zero_infinity=True, unsupported=left_out)
    report = verify(implementation, effort=EFFORT, in_subprocess=False)
    assert report.strictly_ok, str(report)
    assert [case.case for case in report.cases if not case.right] == []


DEADLY = """
import os
from tests.verify.mutants import plain
def ctc(logits, targets, *given):
    if (targets >= logits.shape[2]).any():
        os._exit(3)
    return plain.ctc(logits, targets, *given)
"""


def test_a_process_that_invalid_labels_kill_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    left_out = {law.name: "left out" for law in LAWS if law.name != "refuses-labels"}
    source = f"{tmp_path / 'deadly.py'}:ctc"
    implementation = Implementation("deadly", source, dtypes=("float64",), unsupported=left_out)
    report = verify(implementation, effort=Effort(examples=1, stop_at_first=True, powers=()))
    assert [result.law for result in report.wrong] == ["refuses-labels"]
