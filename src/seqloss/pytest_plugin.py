"""`pytest --ctc package.module:function`: a test for each law, beside whatever else is tested.

Nothing is imported before the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seqloss.verify.report import Report, Result


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ctc",
        action="append",
        default=[],
        metavar="FUNCTION",
        help="hold a CTC loss (package.module:function, file.py:function, or a name that seqloss verify knows) "
        "against every law, one test each",
    )


def pytest_collection(session: pytest.Session) -> None:
    session.config.stash[REPORTS] = {}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for source in config.getoption("--ctc"):
        collector = Implementation.from_parent(session, name=source, nodeid=source)
        items.extend(collector.collect())


REPORTS = pytest.StashKey[dict[str, Any]]()


class Implementation(pytest.Collector):
    """What --ctc names."""

    def collect(self) -> Iterator[pytest.Item]:
        from seqloss.verify.laws import LAWS

        for law in LAWS:
            yield LawItem.from_parent(self, name=law.name)

    def report(self) -> Report:
        """Made when the first law is asked for."""
        from seqloss.errors import SeqLossError
        from seqloss.verify.command import Promises, subjects
        from seqloss.verify.run import verify

        made = self.config.stash[REPORTS]
        if self.name not in made:
            try:
                made[self.name] = verify(subjects([self.name], Promises())[0])
            except SeqLossError as problem:
                made[self.name] = problem
        if isinstance(made[self.name], SeqLossError):
            raise made[self.name]
        return made[self.name]


class LawItem(pytest.Item):
    """One law."""

    def runtest(self) -> None:
        assert isinstance(self.parent, Implementation)
        report = self.parent.report()
        if report.skipped:
            pytest.skip(report.skipped)
        result = next(result for result in report.results if result.law == self.name)
        if result.finding is not None:
            raise Broken(report, result)
        if result.status != "holds":
            pytest.skip(f"{result.status}: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        assert self.parent is not None
        return self.parent.name, None, f"{self.parent.name}: {self.name}"


class Broken(Exception):
    """A law is broken."""

    def __init__(self, report: Report, result: Result) -> None:
        finding = result.finding
        assert finding is not None
        cause = f"likely cause: {report.cause}\n" if report.cause else ""
        super().__init__(
            f"{result.law}: expected {finding.expected}, found {finding.found}; {finding.why}.\n"
            f"{cause}\n{finding.script}"
        )
