"""The thread pool of the CPU kernels, and its size.

Numba's threading layers abort under concurrent callers or kill forked children. A pool of Python threads does neither,
because kernels release the GIL. The calling thread works too, so that n threads are a pool of n - 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TypeVar

from seqloss.errors import OptionError

T = TypeVar("T")
_lock = Lock()
_count: int | None = None
_pool: ThreadPoolExecutor | None = None


def set_num_threads(count: int) -> None:
    """Set how many threads a call may use, from now on and in the whole process.

    Raises:
        OptionError: count is not a positive integer.
    """
    global _count, _pool
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise OptionError(f"count: expected a whole number of threads from 1 on, found {count!r}.")
    with _lock:
        _count, pool, _pool = count, _pool, None
    if pool is not None:
        pool.shutdown(wait=False)


def get_num_threads() -> int:
    """How many threads a call may use: as set, else `SEQLOSS_NUM_THREADS`, else the CPUs that this process may use."""
    if _count is not None:
        return _count
    asked = os.environ.get("SEQLOSS_NUM_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise OptionError(f"SEQLOSS_NUM_THREADS: expected a whole number of threads from 1 on, found {asked!r}.")
    return int(asked)


def run_in_threads(work: Callable[[T], None], parts: Sequence[T]) -> None:
    """Call work(part) for each part, each in its own thread, and wait for all."""
    others: list[Future[None]] = []
    if len(parts) > 1:
        with _lock, suppress(RuntimeError):  # no thread can start while Python exits: this thread computes all parts
            others.extend(_thread_pool().submit(work, part) for part in parts[1:])
    try:
        for part in (parts[0], *parts[1 + len(others) :]):
            work(part)
    finally:
        for other in others:
            other.result()


def _thread_pool() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), thread_name_prefix="seqloss")
    return _pool


def _reset_pool() -> None:
    """After a fork, the parent's threads do not exist in the child, and its lock may never be released."""
    global _pool, _lock
    _pool, _lock = None, Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_pool)
