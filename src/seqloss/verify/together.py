"""Several implementations at once: as many processes as there are cores, the answers in the order of asking."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from seqloss import errors
from seqloss.verify.implementation import Implementation
from seqloss.verify.report import Report
from seqloss.verify.run import Effort, verify

Told = Callable[[int, str, float], None]
"""Called with an implementation's place, what is being tried, and the share that is done."""


def verify_all(
    implementations: Sequence[Implementation], effort: Effort, told: Told = lambda place, words, share: None
) -> list[Report]:
    """A report for each; one that cannot be loaded is skipped, with the reason."""
    given_up = threading.Event()

    def one(place: int) -> Report:
        def progress(words: str, share: float) -> None:
            if given_up.is_set():
                raise KeyboardInterrupt
            told(place, words, share)

        try:
            report = verify(implementations[place], effort=effort, progress=progress)
        except errors.VerifyError as problem:
            report = Report(implementations[place].name, skipped=str(problem))
        told(place, "done", 1.0)
        return report

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(max(1, min(cores, len(implementations)))) as pool:
        running = [pool.submit(one, place) for place in range(len(implementations))]
        try:
            return [future.result() for future in running]
        except BaseException:
            given_up.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
