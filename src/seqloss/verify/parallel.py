"""Verify several implementations at once, as many as there are cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from seqloss import errors
from seqloss.verify.effort import Effort
from seqloss.verify.implementation import Implementation
from seqloss.verify.report import Report
from seqloss.verify.verification import verify

ReportProgress = Callable[[int, str, float], None]
"""Called with the index of an implementation, the name of the current check, and the fraction that is done."""


def verify_all(
    implementations: Sequence[Implementation],
    effort: Effort,
    report_progress: ReportProgress = lambda index, check, fraction: None,
) -> list[Report]:
    """Verify implementations in parallel.

    Args:
        implementations: what to verify.
        effort: for each of them.
        report_progress: called from several threads.

    Returns:
        one report per implementation, in their order. One that cannot be loaded is reported as skipped.
    """
    cancelled = threading.Event()

    def verify_one(index: int) -> Report:
        def report_check(check: str, fraction: float) -> None:
            if cancelled.is_set():
                raise KeyboardInterrupt
            report_progress(index, check, fraction)

        try:
            report = verify(implementations[index], effort=effort, progress=report_check)
        except errors.VerifyError as problem:
            report = Report(implementations[index].name, skipped=str(problem))
        report_progress(index, "done", 1.0)
        return report

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(max(1, min(cores, len(implementations)))) as pool:
        running = [pool.submit(verify_one, index) for index in range(len(implementations))]
        try:
            return [future.result() for future in running]
        except BaseException:
            cancelled.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
