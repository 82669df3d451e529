"""Processor seconds per suite, printed when the tests have ended, so that growth is visible.

A suite is a folder of tests, or a file that lies in none. Its seconds are those of its tests and fixtures, and of the
processes that these have started and waited for. What imports and collection take is listed apart.

Where the environment names a file in SEQLOSS_PROCESSOR_TIMES, the seconds are added to it as well, under the name in
SEQLOSS_RUN; `python tests/processor_time.py FILE` prints the sum of several runs.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COLLECTION = "imports and collection"


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def suite_of(path: Path) -> str:
    """The folder under tests/ that a file lies in, or the file's name.

    Example:
        >>> suite_of(HERE / "torch" / "test_module.py"), suite_of(HERE / "test_cli.py")
        ('torch', 'test_cli')
    """
    parts = path.relative_to(HERE).with_suffix("").parts if path.is_relative_to(HERE) else (path.stem,)
    return "/".join(parts[: 2 if parts[0] == "kernels" and len(parts) > 2 else 1])


class ProcessorTimes:
    """The pytest plugin; under xdist each worker hands its seconds to the controller."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.workers = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        before = processor_seconds()
        result = yield
        self.seconds[suite_of(item.path)] += processor_seconds() - before
        return result

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.seconds[COLLECTION] += processor_seconds()

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["processor_times"] = dict(self.seconds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        if not self.workers:  # what the controller did itself is no suite
            self.seconds.clear()
            self.workers = True
        self.seconds.update(getattr(node, "workeroutput", {}).get("processor_times", {}))

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if hasattr(config, "workeroutput") or not self.seconds:
            return
        terminalreporter.section("processor seconds")
        for line in table(self.seconds):
            terminalreporter.write_line(line)
        if file := os.environ.get("SEQLOSS_PROCESSOR_TIMES"):
            with Path(file).open("a", encoding="utf-8") as out:
                out.write(json.dumps({"run": os.environ.get("SEQLOSS_RUN", "tests"), **self.seconds}) + "\n")


def table(seconds: Counter[str]) -> list[str]:
    """A line for each suite, the longest first, and their sum."""
    lines = [f"{count:8.1f} s  {suite}" for suite, count in seconds.most_common() if count >= 0.05]
    return [*lines, f"{sum(seconds.values()):8.1f} s  in all"]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(ProcessorTimes(), "processor-times")


def print_sum(file: Path) -> None:
    """The seconds of several runs by suite and run, and those of each run."""
    whole: Counter[str] = Counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        seconds = json.loads(line)
        run = seconds.pop("run")
        whole.update({f"{run}: {suite}": count for suite, count in seconds.items()})
    print("processor seconds per suite", *table(whole), sep="\n")


if __name__ == "__main__":
    print_sum(Path(sys.argv[1]))
