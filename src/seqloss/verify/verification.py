"""`verify`: check all laws for one implementation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from seqloss.errors import unknown_option
from seqloss.verify.case_results import evaluate_cases
from seqloss.verify.diagnosis import likely_cause
from seqloss.verify.effort import QUICK, Effort
from seqloss.verify.implementation import Implementation
from seqloss.verify.installed_packages import package_versions
from seqloss.verify.law_check import check_law, modified_arguments_result
from seqloss.verify.laws import LAWS
from seqloss.verify.narrowing import narrow_types
from seqloss.verify.numerical_error import measure_numerical_error, random_utterances
from seqloss.verify.processes import InProcess, Unavailable, WorkerProcess
from seqloss.verify.report import LawResult, Report
from seqloss.verify.runner import Executor, Runner
from seqloss.verify.severity import WRONG

Progress = Callable[[str, float], None]
"""Called with the name of the current check and the fraction that is done."""


def verify(
    function: str | Callable[..., Any] | Implementation,
    *,
    effort: Effort = QUICK,
    in_subprocess: bool = True,
    progress: Progress = lambda check, fraction: None,
) -> Report:
    """Check whether a CTC implementation is correct: all laws, the named cases, and the numerical error.

    Args:
        function: `f(logits, targets, logit_lengths, target_lengths, blank)` on NumPy arrays, which returns the losses
            `(batch,)` or `(losses, gradient)`; or its source, "package.module:function" or "file.py:function"; or an
            `Implementation`, which also describes what it supports.
        effort: `QUICK` (some seconds, small sizes), `FULL` (some minutes, large sizes too), or an `Effort` of your own.
        in_subprocess: call the function in another process, so that a crash or a hang is reported.
        progress: called before each check.

    Returns:
        the `Report`. `report.ok` is True if no result is wrong, `report.strictly_ok` if no law is violated;
        `print(report)` shows the first wrong result, or the first remark if there is none.

    Raises:
        VerifyError: the function cannot be loaded, or what is given is no function.
        OptionError: `unsupported` of the implementation names no law.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_loss_and_grad
        >>> def mine(logits, targets, logit_lengths, target_lengths, blank):
        ...     return ctc_loss_and_grad(logits, targets, logit_lengths, target_lengths, blank=blank)
        >>> verify(mine, in_subprocess=False).strictly_ok
        True
    """
    implementation = function if isinstance(function, Implementation) else Implementation(_name(function), function)
    names = [law.name for law in LAWS]
    for law in implementation.unsupported:
        if law not in names:
            raise unknown_option("unsupported", law, names)
    versions, missing = package_versions(implementation)
    if missing:
        return Report(implementation.name, versions, skipped=missing)
    try:
        if not in_subprocess:
            return _verify(InProcess(implementation), versions, effort, progress)
        with WorkerProcess(implementation, effort.limit) as process:
            return _verify(process, versions, effort, progress)
    except Unavailable as reason:
        return Report(implementation.name, versions, skipped=str(reason))


def _name(function: str | Callable[..., Any]) -> str:
    return function if isinstance(function, str) else getattr(function, "__name__", repr(function))


def _verify(executor: Executor, versions: dict[str, str], effort: Effort, progress: Progress) -> Report:
    started = time.monotonic()
    runner = Runner(executor)
    steps = len(LAWS) + 2
    results: list[LawResult] = []
    for number, law in enumerate(LAWS):
        progress(law.name, number / steps)
        if law.name == "digits" and not any(result.outcome == WRONG for result in results):
            runner = narrow_types(runner)
        results.append(check_law(law, runner, effort))
        if effort.stop_at_first and results[-1].outcome == WRONG:
            break
    if runner.modified:
        results = [modified_arguments_result(runner) if result.law == "untouched" else result for result in results]
    progress("named cases", len(LAWS) / steps)
    cases = [] if effort.stop_at_first else list(evaluate_cases(runner, effort))
    progress("numerical error", (len(LAWS) + 1) / steps)
    dtypes = () if effort.stop_at_first else runner.implementation.dtypes
    errors = [measure_numerical_error(Runner(executor, dtype), random_utterances()) for dtype in dtypes]
    return Report(
        runner.implementation.name,
        versions,
        results,
        cases,
        numerical_errors=[error for error in errors if error is not None],
        cause=_find_cause(runner, results),
        seconds=time.monotonic() - started,
        calls=runner.calls,
    )


def _find_cause(runner: Runner, results: list[LawResult]) -> str:
    """The known bug whose results these are, or what usually causes the first violation; "" after timeouts alone.

    If no result is wrong, no known bug can be found, and the first remark is explained.
    """
    findings = [result.finding for result in results if result.finding is not None and not result.finding.timed_out]
    wrong = [finding for finding in findings if finding.severity == WRONG]
    if not findings:
        return ""
    usual = (wrong or findings)[0].cause
    return (likely_cause(runner) if wrong else "") or (f"probably {usual}" if usual else "")
