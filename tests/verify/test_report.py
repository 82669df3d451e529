"""The summary of a report counts wrong results apart from remarks."""

from __future__ import annotations

import json

from seqloss.verify.laws import LAWS
from seqloss.verify.report import (
    EDGE_CASES,
    HOLDS,
    NOT_SUPPORTED,
    SKIPPED,
    VIOLATED,
    Finding,
    LawResult,
    Report,
    Severity,
    Status,
    dumps,
)


def result_of(law: str, outcome: Status | Severity) -> LawResult:
    if outcome in ("wrong", "careless"):
        return LawResult(law, VIOLATED, 1, Finding("0", "1", "why", "script", severity=outcome))
    return LawResult(law, outcome)


def report_of(**outcomes: Status | Severity) -> Report:
    """A report in which all laws hold, except those given, with "_" for "-"."""
    given = {name.replace("_", "-"): outcome for name, outcome in outcomes.items()}
    return Report("f", results=[result_of(law.name, given.get(law.name, HOLDS)) for law in LAWS])


def test_edge_cases_are_names_of_laws() -> None:
    assert {law.name for law in LAWS} >= EDGE_CASES


def test_remarks_alone_leave_it_ok_but_not_strictly() -> None:
    report = report_of(empty="careless", non_negative="careless")
    assert report.summary == "no result is wrong; 2 remarks; 31 laws hold"
    assert (report.ok, report.strictly_ok) == (True, False)
    assert [result.law for result in report.remarks] == ["non-negative", "empty"]
    assert report.wrong == []


def test_a_wrong_result_is_counted_apart_from_remarks() -> None:
    report = report_of(padding="wrong", empty="careless")
    assert report.summary == "wrong: violates 1 law; 1 remark; 31 laws hold"
    assert (report.ok, report.strictly_ok) == (False, False)
    assert [result.law for result in report.violated] == ["padding", "empty"]


def test_laws_that_were_not_checked_are_counted() -> None:
    assert report_of().summary == "all 33 laws hold"
    found = report_of(long=SKIPPED, rising_score=NOT_SUPPORTED).summary
    assert found == "all 31 checked laws hold; 1 skipped (use --full); 1 not supported"


def test_json_has_the_severity_of_each_finding() -> None:
    (report,) = json.loads(dumps([report_of(padding="wrong", empty="careless")]))
    findings = {result["law"]: result["finding"] for result in report["results"] if result["finding"]}
    assert {law: finding["severity"] for law, finding in findings.items()} == {"padding": "wrong", "empty": "careless"}
    assert (report["ok"], report["strictly_ok"]) == (False, False)


def test_a_page_shows_remarks_apart_from_wrong_results() -> None:
    from seqloss.verify.html_report import render_html

    page = render_html([report_of(padding="wrong", empty="careless")])
    assert "<summary>padding" in page
    assert "<summary>Remark, empty" in page
    assert 'class="wrong"' in page
    assert 'class="careless"' in page
