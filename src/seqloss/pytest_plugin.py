"""`pytest --ctc package.module:function`: a test for each law, beside whatever else is tested.

Nothing is imported before the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seqloss.verify.implementation import Implementation
    from seqloss.verify.report import Result
    from seqloss.verify.runner import Runner


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ctc", "hold a CTC loss against its laws")
    group.addoption(
        "--ctc",
        action="append",
        default=[],
        metavar="FUNCTION",
        help="package.module:function, file.py:function, or a name that seqloss verify knows: one test for each law",
    )
    group.addoption("--ctc-dtype", action="append", default=[], metavar="TYPE", help="a type that it takes")
    group.addoption("--ctc-blank", default="any", metavar="WHICH", help="blanks that it takes: any, first or last")
    group.addoption("--ctc-lengths", default="both", metavar="WHICH", help="lengths it takes: both, labels or none")
    group.addoption("--ctc-log-probs", action="store_true", help="it takes log-probabilities, not scores")
    group.addoption("--ctc-few-shapes", action="store_true", help="it compiles for each shape")
    group.addoption("--ctc-without", action="append", default=[], metavar="LAW", help="a law that it does not promise")


def pytest_collection(session: pytest.Session) -> None:
    """Names and promises are looked at before anything is collected."""
    for source in session.config.getoption("--ctc"):
        _implementation(session.config, source)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before -k and -m choose."""
    for source in config.getoption("--ctc"):
        collector = ImplementationCollector.from_parent(session, name=source, nodeid=source)
        items.extend(collector.collect())


def _implementation(config: pytest.Config, source: str) -> Implementation:
    from seqloss.errors import SeqLossError
    from seqloss.verify.command import Promises, implementations

    promises = Promises(
        dtypes=tuple(config.getoption("--ctc-dtype")),
        blank=config.getoption("--ctc-blank"),
        lengths=config.getoption("--ctc-lengths"),
        scores="log_probs" if config.getoption("--ctc-log-probs") else "logits",
        few_shapes=config.getoption("--ctc-few-shapes"),
        without=tuple(config.getoption("--ctc-without")),
    )
    try:
        return implementations([source], promises)[0]
    except SeqLossError as problem:
        raise pytest.UsageError(str(problem)) from problem


class ImplementationCollector(pytest.Collector):
    """What --ctc names, in a process of its own from the first law on that is tried."""

    runner: Runner | None = None
    unusable = ""

    def collect(self) -> Iterator[pytest.Item]:
        from seqloss.verify.laws import LAWS

        for law in LAWS:
            yield LawItem.from_parent(self, name=law.name)

    def asked(self) -> Runner:
        """One that cannot be loaded fails the first law, and skips the others."""
        from seqloss.errors import SeqLossError
        from seqloss.verify.asking import Absent, Process
        from seqloss.verify.run import QUICK, versions_of
        from seqloss.verify.runner import Runner

        if self.unusable:
            pytest.skip(self.unusable)
        if self.runner is None:
            implementation = _implementation(self.config, self.name)
            self.unusable = versions_of(implementation)[1]
            if self.unusable:
                pytest.skip(self.unusable)
            process = Process(implementation, QUICK.limit)
            try:
                process.start()
            except Absent as reason:
                self.unusable = str(reason)
                pytest.skip(self.unusable)
            except SeqLossError:
                self.unusable = "it cannot be loaded"
                raise
            self.config.add_cleanup(process.renew)
            self.runner = Runner(process)
        return self.runner


class LawItem(pytest.Item):
    """One law."""

    def runtest(self) -> None:
        from seqloss.verify.laws import LAWS
        from seqloss.verify.run import QUICK, judge_law

        assert isinstance(self.parent, ImplementationCollector)
        runner = self.parent.asked()
        result = judge_law(next(law for law in LAWS if law.name == self.name), runner, QUICK)
        if result.finding is not None:
            raise Broken(runner, result)
        if result.status != "holds":
            pytest.skip(f"{result.status}: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        from seqloss.errors import SeqLossError

        return str(excinfo.value) if isinstance(excinfo.value, SeqLossError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        assert self.parent is not None
        return self.parent.name, None, f"{self.parent.name}: {self.name}"


class Broken(Exception):
    """A law is broken."""

    def __init__(self, runner: Runner, result: Result) -> None:
        from seqloss.verify.known_bugs import likely

        finding = result.finding
        assert finding is not None
        cause = likely(runner) or (f"perhaps {finding.cause}" if finding.cause else "")
        super().__init__(
            f"{result.law}: expected {finding.expected}, found {finding.found}; {finding.why}.\n"
            f"{f'likely cause: {cause}' if cause else ''}\n\n{finding.script}"
        )
