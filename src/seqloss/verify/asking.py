"""Asking an implementation: a child process that is started again if it dies, with a time limit on every call."""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, Listener
from types import TracebackType
from typing import IO, Any

from seqloss import errors
from seqloss.verify import child
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import Answer, Problem
from seqloss.verify.runner import array_type

CALM = {"GOMP_SPINCOUNT": "3000"}
"""Idle OpenMP threads do not spin against the other processes that are asked at the same time."""

STARTS, HANGS = 12, 3
"""An implementation that has crashed, or passed its time limit, so often is not started again."""

LOADING = 300.0
"""Seconds that importing a framework may take."""

COMPILING = 180.0
"""Seconds that a process' first calls with scores of a type may take: many implementations compile then."""


class Absent(Exception):
    """What the implementation runs on is not here; the reason in words."""


class Process:
    """A implementation in a child process.

    Args:
        implementation: what to run.
        limit: seconds for one call. Before the first in each type of scores the process is asked without being timed,
            so that it compiles; one that does not answer within `COMPILING` (or the limit, if longer) is given up.

    Example:
        >>> from seqloss.verify.problem import problem
        >>> with Process(Implementation("ours", "seqloss.numpy:ctc_loss_and_grad")) as ours:  # doctest: +SKIP
        ...     ours.ask(problem([[[0.0, 0.0]]], [[1]]), "float64").loss
        array([0.69314718])
    """

    def __init__(self, implementation: Implementation, limit: float = 20.0) -> None:
        self.implementation, self.limit = implementation, limit
        self.upstream = False
        self.deaths = self.timeouts = 0
        self._compiled: set[str] = set()  # types in which this process has compiled
        self._answered: dict[str, Problem] = {}  # by type, what some process has answered
        self._steep = True  # until scores far apart have ended a process
        self._child: subprocess.Popen | None = None
        self._connection: Connection | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._log.close()

    def start(self) -> None:
        """Start the child and load the function.

        Raises:
            VerifyError: the function cannot be loaded.
            Absent: it says that what it runs on is not here.
        """
        shipped = _shipped(self.implementation)
        key = secrets.token_bytes(32)
        self._compiled.clear()
        with Listener(authkey=key) as listener:
            environment = {**CALM, **os.environ, **self.implementation.environment, child.KEY: key.hex()}
            command = [sys.executable, "-c", f"from {child.__name__} import main; main()", str(listener.address)]
            self._child = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # so that it can be ended with all that it has started
            )
            self._connection = self._accept(listener)
        self._connection.send(shipped)
        if not self._connection.poll(LOADING):
            self._stop()
            raise errors.VerifyError(f"{self.implementation.name}: did not load in {LOADING:.0f} s.")
        try:
            state, news = self._connection.recv()
        except EOFError:
            state, news = "unusable", f"the process ended while loading it.\n{self._last_words()}"
        if state == "absent":
            self._stop()
            raise Absent(news)
        if state != "ready":
            self._stop()
            raise errors.VerifyError(f"{self.implementation.name}: cannot be loaded: {news}")
        self.upstream = news

    def ask(self, problem: Problem, dtype: str) -> Answer:
        """One call, with logits of this type."""
        if self._child is None:
            if self.timeouts >= HANGS:
                return Answer(died="was not asked: earlier calls passed their time limit", timed_out=True)
            if self.deaths >= STARTS:
                return Answer(died=f"was not asked: it had crashed {self.deaths} times")
            self.start()
        failed = None if dtype in self._compiled else self._compile(problem, dtype)
        return failed or self._call(problem, dtype, self.limit)

    def _compile(self, problem: Problem, dtype: str) -> Answer | None:
        """Let this process compile before calls are timed; what came instead if it gave no answer.

        It is asked about a problem that an earlier process has answered, or else this one; and about the same with
        scores far apart, for which many have a slower path.
        """
        limit, known = max(self.limit, COMPILING), self._answered.get(dtype, problem)
        answer = self._call(known, dtype, limit)
        if answer.timed_out:
            self.timeouts = HANGS  # there is no use in another start
        if answer.loss is None:
            return answer
        self._compiled.add(dtype)
        self._answered[dtype] = known
        counts = self.deaths, self.timeouts
        if not self._steep or not self._call(_steep(known), dtype, limit).died:
            return None
        self._steep = False  # a law will find out; here it must not stand in the way
        self.deaths, self.timeouts = counts
        self.start()
        return self._compile(problem, dtype)

    def _call(self, problem: Problem, dtype: str, limit: float) -> Answer:
        assert self._connection is not None
        assert self._child is not None
        late = threading.Event()
        killer = threading.Timer(limit, _end_late, (self._child, late))
        killer.start()
        try:
            self._connection.send(_arguments(problem, dtype))
            return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            if late.is_set():
                self.timeouts += 1
                self._stop()
                return Answer(died=f"did not answer within {limit:g} s", timed_out=True)
            self.deaths += 1
            how = self._how_it_ended()
            self._stop()
            return Answer(died=how)
        finally:
            killer.cancel()

    def renew(self) -> None:
        """End the process; the next call starts another. What was written past an array's end is gone with it."""
        self._stop()

    def _accept(self, listener: Listener) -> Connection:
        """The child's connection; a child that ends at once must not leave the parent waiting."""
        accepted: list[Connection] = []
        waiting = threading.Thread(target=lambda: accepted.append(listener.accept()), daemon=True)
        waiting.start()
        assert self._child is not None
        while waiting.is_alive() and self._child.poll() is None:
            waiting.join(0.02)
        if accepted:
            return accepted[0]
        raise errors.VerifyError(f"{self.implementation.name}: the process ended at once.\n{self._last_words()}")

    def _how_it_ended(self) -> str:
        assert self._child is not None
        code = self._child.wait(10)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        words = self._last_words()
        return f"crashed ({name})" + (f": {words}" if words else "")

    def _last_words(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 400))
        return self._log.read().decode(errors="replace").strip()

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        _end(self._child)
        self._child = self._connection = None


def _end(process: subprocess.Popen | None) -> None:
    """End a process and all that it has started."""
    if process is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):  # no process groups here, or none left
        process.kill()
    process.wait()


def _end_late(process: subprocess.Popen, late: threading.Event) -> None:
    late.set()
    _end(process)


class Here:
    """A implementation in this process: nothing is caught that a process would have to catch."""

    def __init__(self, implementation: Implementation) -> None:
        self.implementation = implementation
        self._function: Callable = (
            child.load(implementation.source) if isinstance(implementation.source, str) else implementation.source
        )
        self.upstream = child.takes_upstream(self._function)

    def ask(self, problem: Problem, dtype: str) -> Answer:
        return child.call(self._function, _arguments(problem, dtype))

    def renew(self) -> None:
        """There is one process, and it stays."""


def _steep(problem: Problem) -> Problem:
    """Scores hundreds of nats apart; log-probabilities stay below 1 in sum."""
    return problem.but(logits=1000.0 * problem.logits)


def _arguments(problem: Problem, dtype: str) -> Mapping[str, Any]:
    return {
        "logits": problem.logits.astype(array_type(dtype)),
        "targets": problem.targets,
        "logit_lengths": problem.logit_lengths,
        "target_lengths": problem.target_lengths,
        "blank": problem.blank,
        "upstream": problem.upstream,
        "form": problem.form,
    }


def _shipped(implementation: Implementation) -> str | bytes:
    """A function is sent by value, closures included."""
    if isinstance(implementation.source, str):
        return implementation.source
    import cloudpickle

    try:
        return cloudpickle.dumps(implementation.source)
    except Exception as problem:
        raise errors.VerifyError(
            f"{implementation.name}: cannot be sent to a process of its own ({problem}); put it into a file and give "
            "file.py:function, or say apart=False."
        ) from problem
