"""Kernels that are started as on a GPU, but that nothing runs: what they were started with is recorded."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seqloss.kernels.triton import _compat, launch, launch_list, tiles
from seqloss.kernels.triton.ctc import by_class, frames, gradient, main_path, prepared_targets, replay, sums
from seqloss.kernels.triton.ctc import pipeline as ctc


class Compiled:
    """A compiled kernel that notes what Triton starts it with instead of running.

    Its signature follows from what it was looked for with: kinds of its arguments, and constants.
    """

    def __init__(self, key: tuple[Any, ...], recorded: list[Any]) -> None:
        self.name, self.recorded, self.function = str(key[0]), recorded, id(self)
        signature, kinds = [], iter(key[4])
        for kind in kinds:
            if isinstance(kind, torch.dtype):
                signature.append("*" + str(next(kinds)))
            else:
                number = isinstance(kind, tuple) and ("i32" if kind[1] else "i64")
                signature.append(number or ("fp32" if kind is float else "constexpr"))
        signature += ["constexpr"] * len(key[5:])
        self.asm: dict[str, str] = {}
        self.src = SimpleNamespace(signature=dict(enumerate(signature)))
        self.metadata = SimpleNamespace(
            num_warps=key[2], shared=48, num_ctas=1, global_scratch_size=0, profile_scratch_size=0
        )

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *values: self.recorded.append((self.name, grid, values))


class Cuda:
    """A driver that notes what it starts, as `Compiled` does: numbers in their place, None for what is compiled in."""

    def __init__(self, recorded: list[Any]) -> None:
        self.recorded, self.kernels, self.answers = recorded, dict[int, Compiled](), list[int]()
        self.streams, self.contexts = list[int](), list[Any]()
        self.pointer, self.extra = ".u64 .ptr .global .align 16", 2

    def compiled(self, kernel: Compiled) -> Compiled:
        """It with the code that declares its parameters, and Triton's own, of which no kernel of ours has a use."""
        kinds = [kind for kind in kernel.src.signature.values() if kind != "constexpr"]
        types = [{"i32": ".u32", "i64": ".u64", "fp32": ".f32"}.get(kind, self.pointer) for kind in kinds]
        types += [".u64 .ptr .global .align 1"] * self.extra
        declared = ",\n".join(f"\t.param {kind} {kernel.name}_param_{n}" for n, kind in enumerate(types))
        kernel.asm = {
            "ptx": f".version 8.7\n.visible .entry {kernel.name}(\n{declared}\n)\n.reqntid 128\n{{ .reg .b32 x; }}"
        }
        self.kernels[kernel.function] = kernel
        return kernel

    def cuCtxGetCurrent(self, context: Any) -> int:
        context._obj.value = 77
        return 0

    def cuCtxSetCurrent(self, context: Any) -> int:
        self.contexts.append(context.value)
        return 0

    def cuLaunchKernel(self, function: Any, x: Any, y: Any, z: Any, threads: Any, *rest: Any) -> int:
        if self.answers and (answer := self.answers.pop(0)):
            return answer
        kernel = self.kernels[function.value]
        _, _, shared, stream, pointers, _ = rest
        assert (threads.value, shared.value) == (32 * kernel.metadata.num_warps, 48)
        self.streams.append(stream.value)
        kinds = list(kernel.src.signature.values())
        at = iter(pointers)
        types = {"i32": ctypes.c_int32, "i64": ctypes.c_int64, "fp32": ctypes.c_float}
        values = [
            None if kind == "constexpr" else types.get(kind, ctypes.c_uint64).from_address(next(at)).value
            for kind in kinds
        ]
        self.recorded.append((kernel.name, (x.value, y.value, z.value), values))
        return 0


@contextmanager
def starting(cuda: Cuda, patch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What kernels are started with meanwhile."""

    class AllCompiled(dict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            return self.setdefault(key, cuda.compiled(Compiled(key, cuda.recorded)))

    active = SimpleNamespace(get_current_device=lambda: 0, get_current_stream=lambda device: 5)
    patch.setattr(_compat, "driver", SimpleNamespace(active=active))
    patch.setattr(_compat, "JITFunction", object)
    patch.setattr(launch, "_compiled", AllCompiled())
    patch.setattr(launch_list, "_cuda_driver", lambda: cuda)
    patch.setattr(replay, "_plans", {})
    for module in (tiles, frames, prepared_targets, replay):
        patch.setattr(module, "is_interpreted", lambda device: False, raising=False)
    yield cuda.recorded
    assert {by_class, gradient, main_path, sums, ctc}  # imported before they are started
