"""A kernel that was compiled is started again for the arguments it goes with, and for no others."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from triton._C.libtriton import native_specialize_impl
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend

from seqloss.kernels.triton import _compat, launch

NUMBERS = torch.zeros(64)
ARGUMENTS = [
    *(NUMBERS.to(kind)[offset:] for kind in (torch.float32, torch.bfloat16, torch.int64) for offset in (0, 1, 2, 8)),
    *(0, 1, 2, 15, 16, 17, 32, -1, -16, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32, 2**40 + 1),
    *(0.0, 1.0, 0.5, None),
]


def test_arguments_that_triton_compiles_anew_for_are_told_apart() -> None:
    backend = CUDABackend(GPUTarget("cuda", 90, 32))
    for one, other in itertools.combinations(ARGUMENTS, 2):
        if launch.specialize_arguments((one,))[0] == launch.specialize_arguments((other,))[0]:
            ours, theirs = (native_specialize_impl(backend, value, False, True, True) for value in (one, other))
            assert ours == theirs, (one, other)


class Counted:
    """A kernel whose compiled ones count how often Triton looked for them."""

    def __init__(self) -> None:
        self.arg_names = ["x", "n", "SIZE"]
        self.asked: list[Any] = []
        self.started: list[Any] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Any]:
        def look_up(*args: Any, **options: Any) -> Any:
            self.asked.append((grid, args, options))
            return self

        def launched(*args: Any) -> None:
            self.started.append((grid, args))

        return launched if len(grid) == 3 else look_up


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Counted:
    class Driver:
        active = type("Active", (), {"get_current_device": staticmethod(lambda: 0)})

    monkeypatch.setattr(_compat, "JITFunction", Counted)
    monkeypatch.setattr(_compat, "driver", Driver)
    monkeypatch.setattr(launch, "_compiled", {})
    return Counted()


def test_triton_is_asked_once_for_arguments_of_a_kind(kernel: Counted) -> None:
    other = torch.ones(64)
    for x, n in ((NUMBERS, 3), (other, 5), (NUMBERS, 7)):
        launch.launch_kernel(kernel, n, x, n, SIZE=8)
    assert len(kernel.asked) == 1
    assert [(grid, args[1:]) for grid, args in kernel.started] == [((5, 1, 1), (5, 8)), ((7, 1, 1), (7, 8))]
    assert kernel.started[0][1][0] == other.data_ptr()
    assert kernel.asked[0][2] == {"SIZE": 8, "num_warps": 4, "maxnreg": None, "enable_fp_fusion": False}


@pytest.mark.parametrize(
    "call",
    [
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, 3, SIZE=16),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, 3, warps=8, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, 3, registers=64, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS[1:], 3, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS.int(), 3, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, 1, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, 16, SIZE=8),
        lambda kernel: launch.launch_kernel(kernel, 1, NUMBERS, None, SIZE=8),
    ],
)
def test_triton_is_asked_anew_for_another_kind(kernel: Counted, call: Callable[[Counted], None]) -> None:
    launch.launch_kernel(kernel, 1, NUMBERS, 3, SIZE=8)
    call(kernel)
    assert len(kernel.asked) == 2
