"""A guard against losing speed: ratios within one run, a third of what was measured, for noise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MEASURE = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, torch
import seqloss
from seqloss import contract
from seqloss.kernels.ctc.batch import loss_and_grad
torch.set_num_threads(1)
seqloss.set_num_threads(1)
frames, rows, classes, labels = SHAPE
rng = np.random.default_rng(0)
scores = (3 * rng.standard_normal((rows, frames, classes))).astype(np.float32)
targets = rng.integers(1, classes, (rows, labels))
logits, lengths = torch.tensor(scores, requires_grad=True), (torch.full((rows,), frames), torch.full((rows,), labels))
batch = contract.validate(scores.shape, targets)

def peer():
    logits.grad = None
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    torch.nn.functional.ctc_loss(log_probs, torch.tensor(targets), *lengths, reduction="none").sum().backward()

def clock(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

ours = lambda: loss_and_grad(scores, batch)
ours(), peer()
print(min(clock(peer) for _ in range(9)) / min(clock(ours) for _ in range(9)))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("shape", "least"), [((64, 32, 96, 12), 3), ((300, 4, 48, 40), 6), ((400, 4, 32, 120), 13), ((800, 1, 32, 400), 17)]
)
def test_loss_and_gradient_are_so_many_times_as_fast_as_torchs(shape, least) -> None:
    pytest.importorskip("torch")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.replace("SHAPE", repr(shape))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) >= least
