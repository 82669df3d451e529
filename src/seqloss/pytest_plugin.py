"""`pytest --ctc package.module:function`: adds one test per law.

Without the option, nothing else is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seqloss.verify.implementation import Implementation
    from seqloss.verify.report import LawResult
    from seqloss.verify.runner import Runner


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ctc", "verify a CTC loss")
    group.addoption(
        "--ctc",
        action="append",
        default=[],
        metavar="FUNCTION",
        help="package.module:function, file.py:function, or a name of seqloss verify --list: adds one test per law",
    )
    group.addoption("--ctc-dtype", action="append", default=[], metavar="TYPE", help="a supported type of logits")
    group.addoption("--ctc-blank", default="any", metavar="WHICH", help="supported blanks: any, first or last")
    group.addoption(
        "--ctc-lengths", default="both", metavar="WHICH", help="lengths that it takes: both, labels or none"
    )
    group.addoption("--ctc-log-probs", action="store_true", help="it takes log-probabilities, not logits")
    group.addoption("--ctc-few-shapes", action="store_true", help="it compiles for each shape: use few shapes")
    group.addoption(
        "--ctc-zero-infinity", action="store_true", help="infeasible rows have a loss and a gradient of 0, not inf"
    )
    group.addoption(
        "--ctc-strict", action="store_true", help="a careless result fails its test; without this, it is a warning"
    )
    group.addoption(
        "--ctc-without", action="append", default=[], metavar="LAW", help="a law that it is not meant to satisfy"
    )


def pytest_collection(session: pytest.Session) -> None:
    """Check the options before anything is collected."""
    for source in session.config.getoption("--ctc"):
        _implementation(session.config, source)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests before -k and -m select."""
    for source in config.getoption("--ctc"):
        collector = ImplementationCollector.from_parent(session, name=source, nodeid=source)
        items.extend(collector.collect())


def _implementation(config: pytest.Config, source: str) -> Implementation:
    from seqloss.errors import SeqLossError
    from seqloss.verify.command import Capabilities, select_implementations

    capabilities = Capabilities(
        dtypes=tuple(config.getoption("--ctc-dtype")),
        blank=config.getoption("--ctc-blank"),
        lengths=config.getoption("--ctc-lengths"),
        scores="log_probs" if config.getoption("--ctc-log-probs") else "logits",
        few_shapes=config.getoption("--ctc-few-shapes"),
        without=tuple(config.getoption("--ctc-without")),
        zero_infinity=config.getoption("--ctc-zero-infinity"),
    )
    try:
        return select_implementations([source], capabilities)[0]
    except SeqLossError as problem:
        raise pytest.UsageError(str(problem)) from problem


class ImplementationCollector(pytest.Collector):
    """The implementation of one --ctc option. Its process is started by the first test."""

    runner: Runner | None = None
    narrowed = False
    unusable = ""

    def collect(self) -> Iterator[pytest.Item]:
        from seqloss.verify.laws import LAWS

        for law in LAWS:
            yield LawItem.from_parent(self, name=law.name)

    def get_runner(self) -> Runner:
        """The runner. If the implementation cannot be loaded, the first test fails and the others are skipped."""
        from seqloss.errors import SeqLossError
        from seqloss.verify.effort import QUICK
        from seqloss.verify.installed_packages import package_versions
        from seqloss.verify.processes import Unavailable, WorkerProcess
        from seqloss.verify.runner import Runner

        if self.unusable:
            pytest.skip(self.unusable)
        if self.runner is None:
            implementation = _implementation(self.config, self.name)
            self.unusable = package_versions(implementation)[1]
            if self.unusable:
                pytest.skip(self.unusable)
            process = WorkerProcess(implementation, QUICK.limit)
            try:
                process.start()
            except Unavailable as reason:
                self.unusable = str(reason)
                pytest.skip(self.unusable)
            except SeqLossError:
                self.unusable = "it cannot be loaded"
                raise
            self.config.add_cleanup(process.restart)
            self.runner = Runner(process)
        return self.runner

    def get_narrowed_runner(self) -> Runner:
        """The runner for all laws but `answers`: without float64 if float64 logits are converted to float32."""
        from seqloss.verify.narrowing import narrow_types

        if not self.narrowed:
            self.runner, self.narrowed = narrow_types(self.get_runner()), True
        return self.get_runner()


class LawItem(pytest.Item):
    """The test of one law."""

    def runtest(self) -> None:
        from seqloss.verify.effort import QUICK
        from seqloss.verify.law_check import check_law
        from seqloss.verify.laws import LAWS

        assert isinstance(self.parent, ImplementationCollector)
        runner = self.parent.get_runner() if self.name == "answers" else self.parent.get_narrowed_runner()
        result = check_law(next(law for law in LAWS if law.name == self.name), runner, QUICK)
        if result.outcome == "careless" and not self.config.getoption("--ctc-strict"):
            warnings.warn(CarelessResult(f"{self.parent.name}: {describe(result)}"), stacklevel=1)
        elif result.finding is not None:
            raise LawViolated(runner, result)
        elif result.status != "holds":
            pytest.skip(f"{result.status}: {result.reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, LawViolated):
            return str(excinfo.value)
        from seqloss.errors import SeqLossError

        return str(excinfo.value) if isinstance(excinfo.value, SeqLossError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        assert self.parent is not None
        return self.parent.name, None, f"{self.parent.name}: {self.name}"


class CarelessResult(pytest.PytestWarning):
    """A law is violated carelessly: no result is wrong, and the test passes."""


def describe(result: LawResult) -> str:
    """The law with what was expected and found."""
    finding = result.finding
    assert finding is not None
    return f"{result.law}: expected {finding.expected}, found {finding.found}; {finding.reason}."


class LawViolated(Exception):
    """A law is violated; the message has the script."""

    def __init__(self, runner: Runner, result: LawResult) -> None:
        from seqloss.verify.diagnosis import likely_cause

        finding = result.finding
        assert finding is not None
        cause = likely_cause(runner) or (f"probably {finding.cause}" if finding.cause else "")
        super().__init__(f"{describe(result)}\n{f'likely cause: {cause}' if cause else ''}\n\n{finding.script}")
