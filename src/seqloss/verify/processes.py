"""Run an implementation in a worker process, with a time limit per call, or in this process.

A worker process that crashes or exceeds the limit is started again for the next call.
"""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection, Listener
from types import TracebackType
from typing import IO, Any

from seqloss import errors
from seqloss.verify import worker
from seqloss.verify.implementation import Implementation
from seqloss.verify.problem import CallResult, Problem
from seqloss.verify.runner import numpy_dtype

ENVIRONMENT = {"GOMP_SPINCOUNT": "3000"}
"""Idle OpenMP threads spin for a short time only: other worker processes need the cores."""

MAX_CRASHES, MAX_TIMEOUTS = 12, 3
"""After so many crashes or timeouts, the process is not started again."""

LOADING = 300.0
"""Seconds allowed for importing the implementation and its framework."""

COMPILING = 180.0
"""Seconds allowed for the first calls of a process in each type of logits: many implementations compile then."""


class Unavailable(Exception):
    """A package or device that the implementation needs is missing; the message is the reason."""


class WorkerProcess:
    """An implementation in a process of its own.

    Args:
        implementation: what to run.
        limit: seconds per call. Before the first timed call in each type of logits, the process gets warm-up calls in
            which it can compile. If one of these takes longer than `COMPILING` (or the limit, if larger), the process
            is not started again.

    Example:
        >>> from seqloss.verify.problem import make_problem
        >>> with WorkerProcess(Implementation("ours", "seqloss.numpy:ctc_loss_and_grad")) as ours:  # doctest: +SKIP
        ...     ours.call(make_problem([[[0.0, 0.0]]], [[1]]), "float64").loss
        array([0.69314718])
    """

    def __init__(self, implementation: Implementation, limit: float = 20.0) -> None:
        self.implementation, self.limit = implementation, limit
        self.upstream = False
        self.crashes = self.timeouts = 0
        self._compiled: set[str] = set()  # types of logits for which this process has compiled
        self._warmup: dict[str, Problem] = {}  # by type of logits: a problem that an earlier process has solved
        self._warm_up_extremes = True  # until extreme scores crash a process
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, closed in __exit__

    def __enter__(self) -> WorkerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._log.close()

    def start(self) -> None:
        """Start the process and load the function.

        Raises:
            VerifyError: the function cannot be loaded.
            Unavailable: a package or device that it needs is missing.
        """
        source = _serialize(self.implementation)
        key = secrets.token_bytes(32)
        self._compiled.clear()
        with Listener(authkey=key) as listener:
            environment = {**ENVIRONMENT, **os.environ, **self.implementation.environment, worker.KEY: key.hex()}
            command = [sys.executable, "-c", f"from {worker.__name__} import main; main()", str(listener.address)]
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # so that it can be killed together with its own child processes
            )
            self._connection = self._accept(listener)
        self._connection.send(source)
        if not self._connection.poll(LOADING):
            self._stop()
            raise errors.VerifyError(f"{self.implementation.name}: took longer than {LOADING:.0f} s to load.")
        try:
            state, detail = self._connection.recv()
        except EOFError:
            state, detail = "unusable", f"the process ended while loading it.\n{self._last_output()}"
        if state == "unavailable":
            self._stop()
            raise Unavailable(detail)
        if state != "ready":
            self._stop()
            raise _not_loaded(self.implementation, detail)
        self.upstream = detail

    def call(self, problem: Problem, dtype: str) -> CallResult:
        """Call the implementation, with logits of this type."""
        if self._process is None:
            if self.timeouts >= MAX_TIMEOUTS:
                return CallResult(failure="was not called: earlier calls exceeded the time limit", timed_out=True)
            if self.crashes >= MAX_CRASHES:
                return CallResult(failure=f"was not called: it has crashed {self.crashes} times")
            self.start()
        failed = None if dtype in self._compiled else self._compile(problem, dtype)
        return failed or self._call(problem, dtype, self.limit)

    def _compile(self, problem: Problem, dtype: str) -> CallResult | None:
        """Make warm-up calls, so that compilation is not timed; returns the result of a call that failed, else None.

        The first call is a problem that an earlier process has solved, if there is one. The second has extreme scores,
        for which many implementations have another code path.
        """
        limit, known = max(self.limit, COMPILING), self._warmup.get(dtype, problem)
        answer = self._call(known, dtype, limit)
        if answer.timed_out:
            self.timeouts = MAX_TIMEOUTS  # another start would end in the same way
        if answer.loss is None:
            return answer
        self._compiled.add(dtype)
        self._warmup[dtype] = known
        counts = self.crashes, self.timeouts
        if not self._warm_up_extremes or not self._call(_with_extreme_scores(known), dtype, limit).failure:
            return None
        self._warm_up_extremes = False  # a law reports this; a warm-up must not
        self.crashes, self.timeouts = counts
        self.start()
        return self._compile(problem, dtype)

    def _call(self, problem: Problem, dtype: str, limit: float) -> CallResult:
        assert self._connection is not None
        assert self._process is not None
        expired = threading.Event()
        timer = threading.Timer(limit, _kill_expired, (self._process, expired))
        timer.start()
        try:
            self._connection.send(_arguments(problem, dtype))
            return self._connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            if expired.is_set():
                self.timeouts += 1
                self._stop()
                return CallResult(failure=f"did not return within {limit:g} s", timed_out=True)
            self.crashes += 1
            failure = self._describe_crash()
            self._stop()
            return CallResult(failure=failure)
        finally:
            timer.cancel()

    def restart(self) -> None:
        """Stop the process; the next call starts a new one, whose memory is intact."""
        self._stop()

    def _accept(self, listener: Listener) -> Connection:
        """The connection to the process. Returns too if the process ends before it connects."""
        accepted: list[Connection] = []
        waiting = threading.Thread(target=lambda: accepted.append(listener.accept()), daemon=True)
        waiting.start()
        assert self._process is not None
        while waiting.is_alive() and self._process.poll() is None:
            waiting.join(0.02)
        if accepted:
            return accepted[0]
        raise errors.VerifyError(
            f"{self.implementation.name}: the process ended before it connected.\n{self._last_output()}"
        )

    def _describe_crash(self) -> str:
        assert self._process is not None
        code = self._process.wait(10)
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        output = self._last_output()
        return f"crashed ({name})" + (f": {output}" if output else "")

    def _last_output(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 400))
        return self._log.read().decode(errors="replace").strip()

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        _kill(self._process)
        self._process = self._connection = None


def _kill(process: subprocess.Popen | None) -> None:
    """Kill a process and its child processes."""
    if process is None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError, PermissionError):  # no process groups on this system, or none left
        process.kill()
    process.wait()


def _kill_expired(process: subprocess.Popen, expired: threading.Event) -> None:
    expired.set()
    _kill(process)


class InProcess:
    """An implementation in this process: crashes and hangs are not caught.

    Raises:
        VerifyError: the function cannot be loaded.
        Unavailable: a package or device that it needs is missing.
    """

    def __init__(self, implementation: Implementation) -> None:
        self.implementation = implementation
        try:
            self._function, self.upstream = worker.load_callable(implementation.source)
        except errors.VerifyError as reason:
            raise Unavailable(str(reason)) from reason
        except (Exception, SystemExit) as problem:
            raise _not_loaded(implementation, f"{type(problem).__name__}: {problem}") from problem

    def call(self, problem: Problem, dtype: str) -> CallResult:
        return worker.call_function(self._function, _arguments(problem, dtype))

    def restart(self) -> None:
        """Does nothing: this process cannot be restarted."""


def _not_loaded(implementation: Implementation, detail: str) -> errors.VerifyError:
    return errors.VerifyError(f"{implementation.name}: cannot be loaded: {detail}")


def _with_extreme_scores(problem: Problem) -> Problem:
    """Scores hundreds of nats apart; log-probabilities still sum to less than 1."""
    return problem.replace(logits=1000.0 * problem.logits)


def _arguments(problem: Problem, dtype: str) -> Mapping[str, Any]:
    return {
        "logits": problem.logits.astype(numpy_dtype(dtype)),
        "targets": problem.targets,
        "logit_lengths": problem.logit_lengths,
        "target_lengths": problem.target_lengths,
        "blank": problem.blank,
        "upstream": problem.upstream,
        "layout": problem.layout,
    }


def _serialize(implementation: Implementation) -> str | bytes:
    """Where to find the function, or the function itself, pickled by value with its closures."""
    if isinstance(implementation.source, str):
        return implementation.source
    import cloudpickle

    try:
        return cloudpickle.dumps(implementation.source)
    except Exception as problem:
        raise errors.VerifyError(
            f"{implementation.name}: cannot be sent to a subprocess ({problem}); put it into a file and pass "
            "file.py:function, or pass in_subprocess=False."
        ) from problem
