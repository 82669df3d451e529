"""What it costs to check a call: loss + gradient with validate=True beside validate=False, on one thread.

    python benchmarks/checking.py [--seconds 3] [--only ocr,phone] [--frontends numpy,torch,jax]

The two take turns, and what is counted is the processor time of this process, since others may share the machine. The
cost is the median of the differences, with their quartiles as spread; it may be 2 % or 50 µs, whichever is larger. The
least that `contract.validate` adds in 300 calls is shown beside it. With normalize=False every class of every
frame is looked at, an exponential each; that is shown as well and has no bound: it is what tells raw scores
from log-probabilities.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import torch
from workloads import WORKLOADS, Workload

import seqloss
import seqloss.jax
import seqloss.numpy
import seqloss.torch
from seqloss import contract

SHARE, MICROSECONDS = 0.02, 50.0
"""The bound, whichever is larger: of the call without checks, and absolute."""

Call = Callable[[bool], object]


def on_numpy(scores: np.ndarray, targets: np.ndarray, normalize: bool) -> Call:
    return lambda validate: seqloss.numpy.ctc_loss_and_grad(scores, targets, normalize=normalize, validate=validate)


def on_torch(scores: np.ndarray, targets: np.ndarray, normalize: bool) -> Call:
    logits, labels = torch.tensor(scores, requires_grad=True), torch.tensor(targets)

    def call(validate: bool) -> None:
        logits.grad = None
        loss = seqloss.torch.ctc_loss(logits, labels, normalize=normalize, reduction="sum", validate=validate)
        loss.backward()

    return call


def on_jax(scores: np.ndarray, targets: np.ndarray, normalize: bool) -> Call:
    """Compiled, with traced labels: checked when the program runs."""
    given = jax.numpy.asarray(scores), jax.numpy.asarray(targets)
    programs = {}
    for validate in (True, False):
        options = {"normalize": normalize, "reduction": "sum", "validate": validate}
        programs[validate] = jax.jit(jax.value_and_grad(lambda x, t, o=options: seqloss.jax.ctc_loss(x, t, **o)))
    return lambda validate: jax.block_until_ready(programs[validate](*given))


FRONTENDS = {"numpy": on_numpy, "torch": on_torch, "jax": on_jax}


def microseconds(call: Callable[[], object]) -> float:
    start = time.process_time_ns()
    call()
    return 1e-3 * (time.process_time_ns() - start)


def measure(call: Call, seconds: float) -> tuple[np.ndarray, float]:
    """Quartiles of what checking adds, and the median without it, in µs."""
    checked, unchecked = [], []
    call(True), call(False)
    rounds = int(np.clip(5e5 * seconds / microseconds(lambda: call(True)), 9, 1001))
    for turn in range(rounds):
        for validate in (True, False) if turn % 2 else (False, True):
            (checked if validate else unchecked).append(microseconds(lambda validate=validate: call(validate)))
    return np.percentile(np.subtract(checked, unchecked), [25, 50, 75]), float(np.median(unchecked))


def validation(scores: np.ndarray, targets: np.ndarray) -> float:
    """What looking at labels and lengths adds at the least, in µs."""
    least = {}
    for values in (True, False):
        times = (microseconds(lambda v=values: contract.validate(scores.shape, targets, values=v)) for _ in range(300))
        least[values] = min(times)
    return least[True] - least[False]


def row(workload: Workload, frontend: str, normalize: bool, seconds: float) -> tuple[str, bool]:
    scores, targets = workload.draw()
    if not normalize:
        scores = scores - np.log(np.exp(scores.astype(np.float64)).sum(axis=2, keepdims=True)).astype(np.float32)
    (low, median, high), whole = measure(FRONTENDS[frontend](scores, targets, normalize), seconds)
    over = normalize and median > max(SHARE * whole, MICROSECONDS)
    return (
        f"{workload.name:6} {frontend:6} normalize={normalize!s:5} {whole / 1e3:9.3f} ms  "
        f"+{median:8.1f} µs ({low:.1f} to {high:.1f})  {100 * median / whole:6.2f} %   "
        f"validate alone {validation(scores, targets):5.1f} µs{'   OVER' if over else ''}"
    ), over


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--only", default=",".join(workload.name for workload in WORKLOADS))
    options.add_argument("--frontends", default=",".join(FRONTENDS))
    asked = options.parse_args()
    torch.set_num_threads(1)
    seqloss.set_num_threads(1)
    over = False
    for workload in WORKLOADS:
        for frontend in asked.frontends.split(",") if workload.name in asked.only.split(",") else ():
            for normalize in (True, False):
                words, beyond = row(workload, frontend, normalize, asked.seconds)
                print(words, flush=True)
                over |= beyond
    if over:
        sys.exit(f"checking costs more than {100 * SHARE:.0f} % and {MICROSECONDS:.0f} µs")


if __name__ == "__main__":
    main()
