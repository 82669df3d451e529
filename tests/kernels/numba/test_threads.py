"""One pool, one setting, any number of callers, and forks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident
from typing import Any

import numpy as np
import pytest

import seqloss
from seqloss import contract
from seqloss.errors import OptionError
from seqloss.kernels.ctc import batch as ctc_batch
from seqloss.kernels.ctc import huge_rows
from seqloss.kernels.ctc.batch import loss_and_grad
from seqloss.kernels.numba import threads


@pytest.fixture(autouse=True)
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(threads, "_count", None)
    monkeypatch.setattr(ctc_batch, "WORTH_A_THREAD", 1.0)
    yield
    monkeypatch.setattr(threads, "_pool", None)


def batch() -> tuple[np.ndarray, contract.Batch]:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((23, 40, 12)).astype(np.float32)
    return logits, contract.validate(logits.shape, rng.integers(1, 12, (23, 9)), rng.integers(20, 41, 23))


@pytest.mark.parametrize("huge_from", [huge_rows.HUGE, 5000.0, -1.0], ids=["no huge row", "some", "all"])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch: Any, count: int, huge_from: float) -> None:
    monkeypatch.setattr(huge_rows, "HUGE", huge_from)
    logits, rows = batch()
    seqloss.set_num_threads(1)
    alone = loss_and_grad(logits, rows)
    seqloss.set_num_threads(count)
    assert seqloss.get_num_threads() == count
    for one, many in zip(alone, loss_and_grad(logits, rows), strict=True):
        assert one.tobytes() == many.tobytes()


def test_every_share_of_the_work_is_done_once() -> None:
    seqloss.set_num_threads(4)
    done: list[int] = []
    threads.run_in_threads(done.append, [3, 1, 4, 2])
    assert sorted(done) == [1, 2, 3, 4]


def test_an_error_in_any_share_reaches_the_caller() -> None:
    seqloss.set_num_threads(3)

    def work(part: int) -> None:
        if part == 2:
            raise RuntimeError("share 2")

    with pytest.raises(RuntimeError, match="share 2"):
        threads.run_in_threads(work, [0, 1, 2])


def test_concurrent_callers_do_not_disturb_one_another() -> None:
    logits, rows = batch()
    seqloss.set_num_threads(3)
    expected = loss_and_grad(logits, rows)[2].tobytes()
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda _: loss_and_grad(logits, rows)[2].tobytes(), range(60)))
    assert found == [expected] * 60


FORK = """
import os, signal
import numpy as np
from seqloss import contract, set_num_threads
from seqloss.kernels.ctc import batch as ctc_batch
ctc_batch.WORTH_A_THREAD = 1.0
set_num_threads(3)
logits = np.zeros((9, 30, 5), np.float32)
rows = contract.validate(logits.shape, np.ones((9, 3), int))
before = ctc_batch.loss_and_grad(logits, rows)[0]
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if (ctc_batch.loss_and_grad(logits, rows)[0] == before).all() else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_makes_a_pool_of_its_own() -> None:
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=60).returncode == 0


def test_the_default_is_the_processors_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQLOSS_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert seqloss.get_num_threads() == 3


def test_the_environment_sets_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOSS_NUM_THREADS", "5")
    assert seqloss.get_num_threads() == 5
    monkeypatch.setenv("SEQLOSS_NUM_THREADS", "many")
    with pytest.raises(OptionError, match=r"SEQLOSS_NUM_THREADS.*found 'many'"):
        seqloss.get_num_threads()


@pytest.mark.parametrize("count", [0, -1, 2.0, True, "2"])
def test_a_count_that_is_not_a_positive_integer_is_refused(count: object) -> None:
    with pytest.raises(OptionError, match="whole number of threads"):
        seqloss.set_num_threads(count)  # type: ignore[arg-type]


def test_small_work_stays_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctc_batch, "WORTH_A_THREAD", 200_000.0)
    seqloss.set_num_threads(8)

    def shares(frames: int, classes: int, labels: int) -> int:
        targets = np.zeros((8, labels), int)
        rows = contract.validate((8, frames, classes), targets, blank=classes - 1)
        return len(ctc_batch._divide_rows(rows, frames, classes, labels)[0])

    assert shares(frames=10, classes=10, labels=3) == 1
    assert shares(frames=1000, classes=32, labels=120) == 8


def test_long_rows_are_shared_out_first_and_each_to_who_has_least() -> None:
    seqloss.set_num_threads(2)
    rows = contract.validate((5, 1000, 4), np.ones((5, 10), int), [100, 1000, 400, 300, 200], [10] * 5)
    shares, apart, _ = ctc_batch._divide_rows(rows, 1000, 4, 10)
    assert [share.tolist() for share in shares] == [[1], [2, 3, 4, 0]]
    assert apart.tolist() == []


def who_does_what(monkeypatch: pytest.MonkeyPatch, frames: list[int]) -> dict[tuple[int, int], set[int]]:
    """Which threads take part in which step of each huge row."""
    seqloss.set_num_threads(2)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((len(frames), max(frames), 40)).astype(np.float32)
    rows = contract.validate(logits.shape, rng.integers(1, 40, (len(frames), 700)), frames)
    seen: dict[tuple[int, int], set[int]] = {}
    step_of = huge_rows.compute_huge_row_step

    def watched(step: int, turn: int, turns: int, n: int, *arguments: object) -> None:
        seen.setdefault((n, step), set()).add(get_ident())
        step_of(step, turn, turns, n, *arguments)

    monkeypatch.setattr(huge_rows, "compute_huge_row_step", watched)
    loss_and_grad(logits, rows)
    return seen


@pytest.mark.parametrize("frames", [[3000], [6000, 3000]])
def test_a_single_huge_row_uses_every_thread_in_each_long_step(monkeypatch, frames) -> None:
    seen = who_does_what(monkeypatch, frames)
    for n in range(len(frames)):
        shared = [step for (row, step), workers in seen.items() if row == n and len(workers) == 2]
        assert shared == [huge_rows.MEASURE, huge_rows.SUM, huge_rows.BACK]


def test_as_many_huge_rows_as_threads_go_one_to_each(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = who_does_what(monkeypatch, [3000, 2900])
    workers = [set.union(*(found for (row, _), found in seen.items() if row == n)) for n in range(2)]
    assert [len(found) for found in workers] == [1, 1]
    assert workers[0] != workers[1]


def test_a_batch_that_would_be_shared_is_computed_while_python_exits() -> None:
    code = (
        "import atexit, numpy as np, seqloss, seqloss.numpy as sn\n"
        "seqloss.set_num_threads(2)\n"
        "x, t = np.zeros((64, 400, 100), np.float32), np.ones((64, 4), int)\n"
        "atexit.register(lambda: print(sn.ctc_loss(x, t).shape))\n"
        "import threading\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.stdout.strip() == "(64,)", out.stderr
