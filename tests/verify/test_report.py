"""The summary of a report separates core laws from the policy for edge cases."""

from __future__ import annotations

from seqloss.verify.laws import LAWS
from seqloss.verify.report import EDGE_CASES, HOLDS, NOT_SUPPORTED, SKIPPED, VIOLATED, LawResult, Report


def summary_of(**statuses: str) -> str:
    """Of a report in which all laws hold, except those given, with "_" for "-"."""
    given = {name.replace("_", "-"): status for name, status in statuses.items()}
    return Report("f", results=[LawResult(law.name, given.get(law.name, HOLDS)) for law in LAWS]).summary


def test_edge_cases_are_names_of_laws() -> None:
    assert {law.name for law in LAWS} >= EDGE_CASES


def test_differences_in_edge_cases_alone_leave_the_core_passed() -> None:
    found = summary_of(empty=VIOLATED, non_negative=VIOLATED)
    assert found == "violates 2 laws (core: pass; edge-case policy: 2 differences)"


def test_a_violated_core_law_is_counted_as_such() -> None:
    assert summary_of(padding=VIOLATED) == "violates 1 law (core: 1 violation; edge-case policy: pass)"


def test_laws_that_were_not_checked_are_counted() -> None:
    assert summary_of() == "all 32 laws hold"
    found = summary_of(long=SKIPPED, rising_score=NOT_SUPPORTED)
    assert found == "all 30 checked laws hold; 1 skipped (use --full); 1 not supported"
