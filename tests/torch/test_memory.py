"""The peak of memory of a call is what docs/guides/pytorch.md and `ctc_align` say.

Measured in a child process, whose memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PEAK = """
import json, sys, torch, seqloss
from seqloss.torch import CTCLoss, ctc_loss, linear_ctc_loss

torch.set_num_threads(1)
seqloss.set_num_threads(1)


def read(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024


def peak(call):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is that of now
    before = read("VmRSS")
    call()
    return read("VmHWM") - before
"""
LOSSES = """
N, T, C, L = 16, 200, 4000, 20
targets = torch.randint(1, C, (N, L))
lengths = torch.full((N,), T), torch.full((N,), L)


def call(kind, loss, gradient=True):
    x = torch.randn(N, T, C).to(kind).requires_grad_(gradient)
    if gradient:
        x.grad = torch.zeros_like(x)

    def run():
        found = loss(x)
        if gradient:
            found.sum().backward()

    return run


def penalty():
    x = torch.randn(N, T, C, requires_grad=True)
    (gradient,) = torch.autograd.grad(plain(x).sum(), x, create_graph=True)
    torch.autograd.grad(gradient, x, x.detach())


plain = lambda x: ctc_loss(x, targets)
module = CTCLoss(reduction="none")
drop_in = lambda x: module(x.transpose(0, 1), targets, *lengths)
calls = {
    "ctc_loss": call(torch.float32, plain),
    "without a gradient": call(torch.float32, plain, gradient=False),
    "float64": call(torch.float64, plain),
    "float16": call(torch.float16, plain),
    "CTCLoss": call(torch.float32, drop_in),
    "penalty and its logits": penalty,
}
for once in calls.values():
    for _ in range(2):  # kernels are loaded and scratch is taken
        once()
print(json.dumps({name: peak(once) / (N * T * C) for name, once in calls.items()}))
"""
BYTES = {
    "ctc_loss": 4, "without a gradient": 0, "float64": 8, "float16": 8, "CTCLoss": 4, "penalty and its logits": 16,
}  # fmt: skip
"""For each of batch x time x classes."""

LINEAR = """
batch, time, features, classes, limit = map(int, sys.argv[1:6])
hidden = torch.randn(batch, time, features, requires_grad=True)
weight = (0.05 * torch.randn(classes, features)).requires_grad_()
bias = torch.zeros(classes, requires_grad=True)
for x in (hidden, weight, bias):
    x.grad = torch.zeros_like(x)
targets = torch.randint(1, classes, (batch, 10))
run = lambda: linear_ctc_loss(hidden, weight, bias, targets, reduction=sys.argv[6], memory_limit=limit).sum().backward()
run()  # kernels are loaded
print(json.dumps(peak(run)))
"""

ALIGN = """
import time, numpy
import seqloss.numpy
from seqloss.torch import ctc_align

frames, labels, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = numpy.random.default_rng(0)
targets = rng.integers(1, 40, labels)
path = numpy.zeros(frames, int)
first = 2 * numpy.sort(rng.choice(frames // 2, labels, replace=False))  # with a blank between labels
path[first] = targets
scores = numpy.full((1, frames, 40), -9.0, numpy.float32)
scores[0, numpy.arange(frames), path] = -0.01


def call(scores, targets):
    if name == "numpy":
        return seqloss.numpy.ctc_align(scores, targets)
    if name == "torch":
        return ctc_align(torch.from_numpy(scores), torch.from_numpy(targets))
    return ctc_align(torch.from_numpy(scores), torch.from_numpy(targets), normalize=False)


call(scores[:, :9].copy(), targets[None, :2])  # kernels are loaded
found, start = [], time.perf_counter()
taken = peak(lambda: found.append(call(scores, targets[None])))
seconds = time.perf_counter() - start
right = (numpy.asarray(found[0].classes[0]) == path).all() and (numpy.asarray(found[0].first[0]) == first).all()
print(json.dumps([taken, seconds, bool(right)]))
"""

LIMITED = """
import numpy, resource
from seqloss.errors import OutOfMemoryError
from seqloss.numpy import ctc_align

scores, targets = numpy.zeros((1, 180_000, 40), numpy.float32), numpy.ones((1, 40_000), int)
ctc_align(scores[:, :9], targets[:, :2])  # kernels are loaded
resource.setrlimit(resource.RLIMIT_AS, (read("VmSize") + 60_000_000, -1))
try:
    ctc_align(scores, targets)
except OutOfMemoryError as error:
    print(json.dumps(str(error)))
"""


def measure(program: str, *arguments: object) -> object:
    command = [sys.executable, "-c", PEAK + program, *map(str, arguments)]
    # what is freed leaves the process at once, so that a second call does not find the memory of the first
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def test_the_peak_of_a_loss_is_the_formulas() -> None:
    found = measure(LOSSES)
    assert found == pytest.approx(BYTES, abs=0.6)


@pytest.mark.parametrize("reduction", [pytest.param("none", marks=pytest.mark.long), "mean"])
def test_the_peak_of_linear_ctc_loss_is_its_limit_and_the_gradients(reduction: str) -> None:
    batch, time, features, classes, limit = 4, 50, 64, 200_000, 2**25  # all logits: 160 MB, those of a row: 40 MB
    found = measure(LINEAR, batch, time, features, classes, limit, reduction)
    gradients = 4 * (batch * time * features + classes * (features + 1))
    assert found <= limit + gradients


@pytest.mark.parametrize(
    "name", ["torch", *(pytest.param(name, marks=pytest.mark.long) for name in ("numpy", "torch, log-probabilities"))]
)
def test_an_alignment_takes_a_tenth_of_a_byte_per_frame_and_state(name: str) -> None:
    frames, labels = 20_000, 9_000
    taken, _, right = measure(ALIGN, frames, labels, name)
    assert right
    assert taken < 0.1 * frames * (2 * labels + 1)


@pytest.mark.long
@pytest.mark.parametrize("name", ["numpy", "torch", "torch, log-probabilities"])
def test_an_hour_of_speech_with_40000_characters_is_aligned_in_300_megabytes_and_a_minute(name: str) -> None:
    taken, seconds, right = measure(ALIGN, 180_000, 40_000, name)
    assert right
    assert taken <= 300e6
    assert seconds <= 60


def test_an_alignment_that_the_process_may_not_allocate_is_refused() -> None:
    found = measure(LIMITED)
    assert found.startswith("row 0: to align 180000 frames with 40000 labels, 124 MB are needed beside the scores")


@pytest.mark.long
def test_a_hundred_thousand_classes_take_under_600_megabytes_beside_the_gradients() -> None:
    found = measure(LINEAR, 64, 250, 512, 100_000, 2**28, "mean")
    assert found < 600e6 + 4 * (64 * 250 * 512 + 100_000 * 513)
