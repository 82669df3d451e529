"""The peak of memory of a call is what docs/pytorch.md says. Measured in a child process, whose memory is its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEASURE = """
import json, sys, torch, seqloss
from seqloss.torch import CTCLoss, ctc_loss

torch.set_num_threads(1)
seqloss.set_num_threads(1)
N, T, C, L = 16, 200, 4000, 20
targets = torch.randint(1, C, (N, L))
lengths = torch.full((N,), T), torch.full((N,), L)


def read(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return int(line.split()[1]) * 1024


def peak(call):
    for _ in range(2):  # kernels are loaded and scratch is taken
        call()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is that of now
    before = read("VmRSS")
    call()
    return (read("VmHWM") - before) / (N * T * C)


def call(kind, loss, gradient=True):
    x = torch.randn(N, T, C).to(kind).requires_grad_(gradient)
    if gradient:
        x.grad = torch.zeros_like(x)

    def run():
        found = loss(x)
        if gradient:
            found.sum().backward()

    return run


def penalty(x):
    total = ctc_loss(x, targets).sum()
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return torch.autograd.grad(gradient, x, x.detach())[0].sum().detach()


plain = lambda x: ctc_loss(x, targets)
module = CTCLoss(reduction="none")
drop_in = lambda x: module(x.transpose(0, 1), targets, *lengths)
print(json.dumps({
    "ctc_loss": peak(call(torch.float32, plain)),
    "without a gradient": peak(call(torch.float32, plain, gradient=False)),
    "float64": peak(call(torch.float64, plain)),
    "float16": peak(call(torch.float16, plain)),
    "CTCLoss": peak(call(torch.float32, drop_in)),
    "penalty": peak(lambda: penalty(torch.randn(N, T, C, requires_grad=True))),
}))
"""
FORMULA = {"ctc_loss": 4, "without a gradient": 0, "float64": 8, "float16": 8, "CTCLoss": 4, "penalty": 20}
"""Bytes for each of batch x time x classes: the gradient; for half types also the scores in float32."""


def test_the_peak_is_the_formulas() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    for name, found in json.loads(done.stdout).items():
        assert found == pytest.approx(FORMULA[name], abs=0.6), name
