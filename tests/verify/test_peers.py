"""What the peers break is known: neither more nor less. And nothing of ours breaks anything."""

from __future__ import annotations

import importlib.metadata

import pytest

from seqloss.verify import Effort, verify
from seqloss.verify.adapters import KNOWN_IMPLEMENTATIONS
from tests.verify.expected import BATCH_COST, EXPECTED, REASONS, VERSIONS, WRONG

EFFORT = Effort(examples=4, seconds=2.0, powers=(32,), minimize=False)

SOON = {"seqloss.numpy"}
"""The others import or compile for long."""


def marked(names: list[str]) -> list:
    return [name if name in SOON else pytest.param(name, marks=pytest.mark.long) for name in names]


@pytest.mark.parametrize("name", marked(list(EXPECTED)))
def test_a_peer_breaks_what_it_is_known_to_break(name: str) -> None:
    implementation = KNOWN_IMPLEMENTATIONS[name]
    found = {package: importlib.metadata.version(package) for package in implementation.packages}
    seen = f"the facts are those of { {package: VERSIONS.get(package) for package in found} }, this is {found}"
    report = verify(implementation, effort=EFFORT)
    broken = {result.law: result.finding and result.finding.found for result in report.violated}
    mended, new = EXPECTED[name] - set(broken), set(broken) - EXPECTED[name]
    assert not mended, f"mended since: {mended}; {seen}"
    assert not new, f"newly broken: { {law: broken[law] for law in new} }; {seen}"
    wrong = {result.law for result in report.wrong}
    assert wrong == WRONG.get(name, wrong), f"{ {law: broken[law] for law in wrong} }; {seen}"


@pytest.mark.parametrize("name", marked([name for name in KNOWN_IMPLEMENTATIONS if name.startswith("seqloss.")]))
def test_nothing_of_ours_breaks_a_law(name: str) -> None:
    report = verify(KNOWN_IMPLEMENTATIONS[name], effort=EFFORT)
    assert report.strictly_ok, str(report)


def test_every_expected_failure_has_its_reason() -> None:
    for name, laws in EXPECTED.items():
        assert name == BATCH_COST or laws <= set(REASONS), name


def test_an_adapter_promises_laws_that_exist() -> None:
    from seqloss.verify.laws import LAWS

    names = {law.name for law in LAWS}
    for implementation in KNOWN_IMPLEMENTATIONS.values():
        assert set(implementation.unsupported) <= names, implementation.name
