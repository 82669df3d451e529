"""Nothing waits for the device, and all that a call needs is where its scores are.

On a GPU `torch.cuda.set_sync_debug_mode` sees a wait (`test_on_a_device.py`). Here arguments are PyTorch's meta
tensors, which have a form and no numbers, on a device that is not the CPU: who asks for a number fails, and so does who
mixes them with tensors of the CPU. Kernels are started on nothing; each tensor has an address for them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from seqloss.kernels.triton import _compat, launch
from seqloss.kernels.triton.ctc import align, greedy, replay
from seqloss.kernels.triton.ctc import pipeline as ctc
from seqloss.torch import CTCLoss, ctc_align, ctc_loss, ctc_posteriors, tracing
from seqloss.torch.ctc import device_arguments
from tests.kernels.triton.fake_driver import Cuda

THERE, ITS_NUMBER = torch.device("meta"), 1
STREAM, CONTEXT = 50, 70
"""Those of the other device."""
OF_THE_HOST = torch.tensor([[1, 2, 2], [3, 1, 0], [4, 4, 4]]), [9, 5, 6], np.array([3, 2, 3])
CALLS_OF_A_FORM = 4
"""The first two in Triton's way, the second recorded; two that start what was recorded."""


class Machine:
    """Two devices, of which the other one is current.

    Attributes:
        current: the current device's number.
        starting: which one was current where a kernel was started.
        addressed: the devices of tensors whose addresses kernels are given.
        contexts: which devices' were taken for threads that have none.
    """

    def __init__(self) -> None:
        self.current = 0
        self.starting: set[int] = set()
        self.addressed: set[torch.device] = set()
        self.contexts: set[int] = set()
        self.places: defaultdict[int, int] = defaultdict(itertools.count(1).__next__)

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, {THERE: ITS_NUMBER}[device]
        yield
        self.current = before

    def address(self, tensor: torch.Tensor) -> int:
        self.addressed.add(tensor.device)
        return (self.places[tensor.untyped_storage()._cdata] << 32) + tensor.storage_offset() * tensor.itemsize


@pytest.fixture
def machine(started: list[Any], cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine, specialize = Machine(), launch.specialize_arguments
    for module in (align, ctc, greedy, replay):
        monkeypatch.setattr(module, "on_device", machine.on)
    active = SimpleNamespace(
        get_current_device=lambda: machine.current, get_current_stream=lambda device: STREAM + machine.current
    )
    monkeypatch.setattr(_compat, "driver", SimpleNamespace(active=active))
    monkeypatch.setattr(device_arguments, "reason_against", lambda device, kind: None)
    monkeypatch.setattr(tracing, "reason_against", lambda device, kind: None)
    monkeypatch.setattr(torch.Tensor, "data_ptr", lambda tensor: machine.address(tensor))

    def recorded(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
        machine.starting.add(machine.current)
        return specialize(args)

    def get_context(context: Any) -> int:
        context._obj.value = CONTEXT + machine.current
        machine.contexts.add(context._obj.value)
        return 0

    monkeypatch.setattr(launch, "specialize_arguments", recorded)
    monkeypatch.setattr(cuda, "cuCtxGetCurrent", get_context)
    return machine


def there(*shape: int, kind: torch.dtype = torch.int64) -> torch.Tensor:
    return torch.empty(shape, dtype=kind, device=THERE)


CALLS: dict[str, Callable[..., Any]] = {
    **{
        f"loss, {reduction}": lambda x, *args, reduction=reduction: ctc_loss(x, *args, reduction=reduction)
        for reduction in ("none", "sum", "mean", "batch", "labels")
    },
    "loss, sum over a number": lambda x, *args: ctc_loss(x, *args, reduction="sum", denominator=7.0),
    "loss without lengths": lambda x, targets, *_: ctc_loss(x, targets, validate=False),
    "loss of log-probabilities": lambda x, *args: ctc_loss(x, *args, normalize=False),
    "loss that would raise": lambda x, *args: ctc_loss(x, *args, infeasible="raise"),
    "loss of concatenated labels": lambda x, _, frames, labels: ctc_loss(x, there(8), frames, labels, reduction="mean"),
    "loss of concatenated labels, lengths of the host": lambda x, _, frames, labels: ctc_loss(
        x, there(8), frames, [3, 2, 3], reduction="labels"
    ),
    "loss in a half type": lambda x, *args: ctc_loss(x.bfloat16(), *args),
    "loss, lengths of the host": lambda x, targets, *_: ctc_loss(x, targets, *OF_THE_HOST[1:]),
    "loss, all but the scores of the host": lambda x, *_: ctc_loss(x, *OF_THE_HOST),
    "loss that would raise, all but the scores of the host": lambda x, *_: ctc_loss(
        x, *OF_THE_HOST, infeasible="raise"
    ),
    "drop-in": lambda x, *args: CTCLoss()(x.log_softmax(2).transpose(0, 1), *args),
    "alignment": lambda x, *args: ctc_align(x, *args).total,
    "alignment that would raise": lambda x, *args: ctc_align(x, *args, infeasible="raise").total,
    "alignment that would raise, all but the scores of the host": lambda x, *_: (
        ctc_align(x, *OF_THE_HOST, infeasible="raise").total
    ),
    "posteriors": lambda x, *args: ctc_posteriors(x, *args),
}


def loss_and_gradient(name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    x = there(3, 9, 5, kind=torch.float32).requires_grad_()
    found = CALLS[name](x, there(3, 3), there(3), there(3))
    if found.requires_grad:
        found.sum().backward()
    return found, x.grad


@pytest.mark.parametrize("name", CALLS)
def test_no_number_is_asked_for(machine: Machine, name: str) -> None:
    for _ in range(CALLS_OF_A_FORM):
        found, gradient = loss_and_gradient(name)
        assert found.device == THERE
        assert gradient is None or gradient.device == THERE


@pytest.mark.parametrize("name", CALLS)
def test_kernels_start_on_the_scores_device_with_tensors_that_are_there(machine: Machine, name: str) -> None:
    for _ in range(CALLS_OF_A_FORM):
        loss_and_gradient(name)
    assert machine.starting == {ITS_NUMBER}
    assert machine.addressed == {THERE}
    assert machine.current == 0


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith(("loss", "drop-in"))])
def test_what_was_noted_starts_on_the_scores_device_too(machine: Machine, cuda: Cuda, name: str) -> None:
    for _ in range(CALLS_OF_A_FORM):
        loss_and_gradient(name)
    assert set(cuda.streams) == {STREAM + ITS_NUMBER}
    assert machine.contexts == {CONTEXT + ITS_NUMBER}


@pytest.mark.parametrize(("current", "entered"), [(0, [torch.device("cuda", 1)]), (1, [])])
def test_a_device_is_made_the_current_one_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, current: int, entered: list[torch.device]
) -> None:
    asked = []

    @contextmanager
    def device(device: torch.device) -> Iterator[None]:
        asked.append(device)
        yield

    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
    monkeypatch.setattr(torch.cuda, "device", device)
    with launch.on_device(torch.device("cuda", 1)):
        assert asked == entered


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: float(x.max()),
        lambda x: (x > 0).nonzero(),
        lambda x: torch.masked_select(x, x > 0),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.unique(x),
        lambda x: x + torch.ones(3),
    ],
)
def test_who_asks_for_a_number_or_mixes_devices_is_found_out(ask: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
        ask(there(3, kind=torch.float32))
