"""The peak of memory of a call is what docs/pytorch.md says. Measured in a child process, whose memory is its own."""

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


@pytest.mark.long
def test_a_hundred_thousand_classes_take_under_600_megabytes_beside_the_gradients() -> None:
    found = measure(LINEAR, 64, 250, 512, 100_000, 2**28, "mean")
    assert found < 600e6 + 4 * (64 * 250 * 512 + 100_000 * 513)
