"""Tensors on a device without a kernel: seqloss falls back to the CPU and warns once, and the result is right.

No device is needed. `PretendedDevice` lets tensors claim to live on "cuda" and follows each move that the
frontend asks for; a meta tensor, which truly is not on the CPU, shows the words; a real GPU, where there is one,
the whole, with scores in float64, for which it has no kernel.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from seqloss.errors import SeqLossWarning
from seqloss.kernels.triton import available
from seqloss.torch import CTCLoss, arrays, ctc_align, ctc_check, ctc_greedy, ctc_loss, ctc_posteriors
from seqloss.torch.ctc import cpu_autograd, device_arguments

TARGETS, FRAMES, LABELS = torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 5]), torch.tensor([3, 2])
CUDA = torch.device("cuda", 0)


def leaf() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 7, 4))).float().requires_grad_()


class PretendedDevice(TorchFunctionMode):
    """Tensors in `there` say that they are on CUDA; only a `.to` moves them, and NumPy is refused to them."""

    def __init__(self) -> None:
        self.there: list[torch.Tensor] = []
        self.moves: list[str] = []

    def holds(self, tensor: Any) -> bool:
        return any(tensor is other for other in self.there)

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensor = args[0] if args else None
        if function == torch.Tensor.device.__get__:
            return CUDA if self.holds(tensor) else function(*args, **kwargs)
        if function is torch.Tensor.numpy and self.holds(tensor):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function in (torch.Tensor.detach, torch.Tensor.transpose) and self.holds(tensor):
            return self.put(function(*args, **kwargs))
        if function is torch.Tensor.to and len(args) > 1 and args[1] in (CUDA, "cpu"):
            moved = function(tensor, "cpu", *args[2:], copy=True, **kwargs)
            self.moves.append(f"{'cuda' if self.holds(tensor) else 'cpu'} to {torch.device(args[1]).type}")
            return self.put(moved) if args[1] == CUDA else moved
        return function(*args, **kwargs)

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        self.there.append(tensor)
        return tensor


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_warned", set())
    available._against_device.cache_clear()


def test_scores_and_upstream_travel_to_the_cpu_and_loss_and_gradient_back() -> None:
    x, expected = leaf(), leaf()
    expected_loss = ctc_loss(expected, TARGETS, FRAMES, LABELS)
    expected_loss.backward(torch.tensor([1.0, -2.0]))
    device = PretendedDevice()
    device.there.append(x)
    with device, pytest.warns(SeqLossWarning):
        loss = ctc_loss(x, TARGETS, FRAMES, LABELS)
    assert device.moves[0] == "cuda to cpu"
    assert set(device.moves[1:]) == {"cpu to cuda"}
    assert device.holds(loss)
    with device, torch.no_grad():  # autograd's own engine would not enter the mode
        upstream = device.put(torch.tensor([1.0, -2.0]))
        gradient, *none = cpu_autograd._Losses.backward(loss.grad_fn, upstream)
    assert none == [None] * 4
    assert torch.equal(loss, expected_loss)
    assert torch.equal(gradient, expected.grad)


CALLS: dict[str, Callable[[torch.Tensor], Any]] = {
    "ctc_loss": lambda x: ctc_loss(x, TARGETS, FRAMES, LABELS),
    "CTCLoss": lambda x: CTCLoss()(x.transpose(0, 1), TARGETS, FRAMES, LABELS),
    "ctc_check": lambda x: ctc_check(x, TARGETS, FRAMES, LABELS),
    "ctc_posteriors": lambda x: ctc_posteriors(x, TARGETS, FRAMES, LABELS),
    "ctc_align": lambda x: ctc_align(x, TARGETS, FRAMES, LABELS),
    "ctc_greedy": ctc_greedy,
}


def warnings_of(call: Callable[[torch.Tensor], Any]) -> list[warnings.WarningMessage]:
    """What a call says of scores on a device for which there is no kernel."""
    x = leaf().detach()
    device = PretendedDevice()
    device.there.append(x)
    with device, warnings.catch_warnings(record=True, action="always") as caught:
        call(x)
    assert {warning.category for warning in caught} <= {SeqLossWarning}
    return caught


@pytest.mark.parametrize("name", CALLS)
def test_the_fallback_warns_at_the_caller_s_line_with_its_cost(name: str) -> None:
    (warning,) = warnings_of(CALLS[name])
    words = str(warning.message)
    assert words.startswith(f"{name} has no kernel for cuda tensors ")
    assert words.endswith(
        " It falls back to the CPU: the logits are copied there and the result back. The result is right, but each "
        "call waits for the device. (Shown once.)"
    )
    assert warning.filename == __file__


def test_the_fallback_warns_once_per_function() -> None:
    assert [len(warnings_of(CALLS[name])) for name in ("ctc_loss", "ctc_loss", "ctc_greedy", "ctc_greedy")] == [
        1,
        0,
        1,
        0,
    ]


@pytest.mark.parametrize("name", ["ctc_check", "ctc_posteriors", "ctc_align", "ctc_greedy"])
def test_a_meta_tensor_has_no_values_to_look_at(name: str) -> None:
    with pytest.raises(RuntimeError, match=f"{name}: found a tensor on the meta device, expected one with values"):
        CALLS[name](torch.zeros(2, 7, 4, device="meta"))


def test_cpu_tensors_are_not_worth_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ctc_loss(leaf(), TARGETS, FRAMES, LABELS).sum().backward()
        for call in CALLS.values():
            call(leaf())


class Machine:
    """A machine with a GPU as PyTorch would tell of it, where everything is in order unless a test takes it away."""

    name, capability, error = "NVIDIA H200", (9, 0), None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch, self.probed = monkeypatch, []
        monkeypatch.setattr(torch.version, "cuda", "12.8")
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: self.name)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: self.capability)
        monkeypatch.setitem(sys.modules, "seqloss.kernels.triton.probe", types.SimpleNamespace(run_probe=self.probe))
        monkeypatch.setattr(available, "find_spec", lambda name: types.SimpleNamespace(name=name))

    def probe(self, device: torch.device) -> None:
        self.probed.append(device)
        if self.error:
            raise self.error


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def without_triton(machine: Machine) -> None:
    machine.patch.setattr(available, "find_spec", lambda name: None)


def with_amd(machine: Machine) -> None:
    machine.patch.setattr(torch.version, "cuda", None)


def with_an_old_gpu(machine: Machine) -> None:
    machine.name, machine.capability = "Tesla P4", (6, 1)


def with_an_old_driver(machine: Machine) -> None:
    machine.error = RuntimeError("the provided PTX was\n compiled with an unsupported toolchain")


def without_a_compiler(machine: Machine) -> None:
    machine.error = FileNotFoundError("Failed to find C compiler. " + "x" * 500)


REASONS: dict[str, tuple[Callable[[Machine], None], str]] = {
    "no Triton": (without_triton, "(Triton is not installed: pip install 'seqloss[gpu]')."),
    "another maker": (with_amd, "(there are Triton kernels for CUDA alone)."),
    "an old GPU": (with_an_old_gpu, "(Tesla P4 has compute capability 6.1, Triton needs 7.0)."),
    "an old driver": (
        with_an_old_driver,
        "(Triton cannot run a kernel on NVIDIA H200 (RuntimeError: the provided PTX was compiled with an "
        "unsupported toolchain)).",
    ),
    "no compiler": (without_a_compiler, "(Triton cannot run a kernel on NVIDIA H200 (FileNotFoundError: Failed"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_an_unsupported_gpu_warns_once_with_the_reason_and_falls_back_to_the_cpu(machine: Machine, reason: str) -> None:
    spoil, words = REASONS[reason]
    spoil(machine)
    x, expected = leaf().detach(), ctc_loss(leaf().detach(), TARGETS, FRAMES, LABELS)
    device = PretendedDevice()
    device.there.append(x)
    with device, warnings.catch_warnings(record=True, action="always") as caught:
        for _ in range(2):
            assert torch.equal(ctc_loss(x, TARGETS, FRAMES, LABELS), expected)
    (warning,) = caught
    assert f"ctc_loss has no kernel for cuda tensors here {words}" in str(warning.message)
    assert "It falls back to the CPU" in str(warning.message)
    assert len(str(warning.message)) < 500
    assert warning.filename == __file__
    assert len(machine.probed) <= 1  # whatever it was, it is found out once


def test_float64_scores_fall_back_to_the_cpu_with_the_reason(machine: Machine) -> None:
    x = leaf().detach().double()
    device = PretendedDevice()
    device.there.append(x)
    with device, pytest.warns(SeqLossWarning, match=r"here \(the kernels compute in float32, the scores are float64\)"):
        assert torch.equal(ctc_loss(x, TARGETS, FRAMES, LABELS), ctc_loss(x.clone(), TARGETS, FRAMES, LABELS))


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_a_supported_gpu_runs_the_kernels_and_is_probed_once(machine: Machine, kind: torch.dtype) -> None:
    for index in (0, 1, 0, 1):
        assert available.reason_against(torch.device("cuda", index), kind) is None
    assert machine.probed == [torch.device("cuda", 0), torch.device("cuda", 1)]
    x = leaf().detach().to(kind)
    device = PretendedDevice()
    device.there.append(x)
    with device:
        assert device_arguments.runs_on_triton(x)
        assert not device_arguments.runs_on_triton(leaf())
        assert not device_arguments.runs_on_triton(np.zeros((2, 7, 4)))


def test_a_function_without_a_kernel_warns_with_yet_on_a_gpu_too(machine: Machine) -> None:
    x = leaf().detach()
    device = PretendedDevice()
    device.there.append(x)
    with device, pytest.warns(SeqLossWarning, match=r"ctc_check has no kernel for cuda tensors yet\."):
        ctc_check(x, TARGETS, FRAMES, LABELS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.filterwarnings("ignore::seqloss.errors.SeqLossWarning")
def test_a_cuda_tensor_gets_the_bits_of_the_cpu_back_on_its_device() -> None:
    x = leaf().detach().double().requires_grad_()
    y = x.detach().cuda().requires_grad_()
    loss, expected = ctc_loss(y, TARGETS.cuda(), FRAMES.cuda(), LABELS), ctc_loss(x, TARGETS, FRAMES, LABELS)
    assert loss.is_cuda
    assert torch.equal(loss.cpu(), expected)
    loss.backward(torch.tensor([1.0, -2.0], device="cuda"))
    expected.backward(torch.tensor([1.0, -2.0]))
    assert y.grad.is_cuda
    assert torch.equal(y.grad.cpu(), x.grad)
    assert ctc_loss(y, TARGETS, FRAMES, LABELS, reduction="mean").is_cuda
    assert ctc_posteriors(y, TARGETS, FRAMES, LABELS).is_cuda
    assert torch.equal(ctc_posteriors(y, TARGETS, FRAMES, LABELS).cpu(), ctc_posteriors(x, TARGETS, FRAMES, LABELS))
    assert ctc_check(y, TARGETS.cuda()) == ctc_check(x, TARGETS)
    assert CTCLoss()(y.log_softmax(2).transpose(0, 1), TARGETS.cuda(), FRAMES, LABELS.cuda()).is_cuda
    assert [row.labels.tolist() for row in ctc_greedy(y)] == [row.labels.tolist() for row in ctc_greedy(x)]
