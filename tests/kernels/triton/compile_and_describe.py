"""Compile and launch a kernel on a CUDA driver that does nothing: python compile_and_describe.py CAPABILITY

Prints, as JSON, what each function of `seqloss.kernels.triton._compat` returns on the way. To be run without
TRITON_INTERPRET; needs no GPU.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import torch
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from seqloss.kernels.triton import _compat, launch_list
from seqloss.kernels.triton.spans import _label_sums
from tests.kernels.triton.compiled_launches import FakeDriver

HANDLE, STREAM = 4711, 5


def describe(capability: int) -> dict[str, Any]:
    launched: list[Any] = []
    fake = FakeDriver(capability)
    fake.get_current_stream = lambda device: STREAM  # type: ignore[method-assign]
    fake.launcher_cls = lambda source, metadata: lambda *args: launched.append(args)  # type: ignore[attr-defined]
    fake.utils = SimpleNamespace(  # type: ignore[attr-defined]
        get_device_properties=lambda device: {"max_shared_mem": 1 << 17},
        load_binary=lambda *binary: (1, HANDLE, 16, 0, 1024),
    )
    driver.set_active(fake)
    run = JITFunction.run
    JITFunction.run = lambda self, *args, grid, warmup, **options: run(self, *args, grid=grid, warmup=True, **options)
    counts = torch.zeros(3, 4, dtype=torch.int64)
    args = (torch.zeros(3, 7, dtype=torch.float64), counts, 4, counts, 4, torch.zeros(3, 4), 4, 12, 7, 4)
    compiled = _compat.compile_and_launch(_label_sums, 1, args, {"LABELS": 16}, warps=2, registers=64)
    _compat.launch_compiled(compiled, 6, [*range(100, 110)], [16])
    types = _compat.argument_types(compiled)
    return {
        "is_compiled": _compat.is_compiled(_label_sums),
        "argument_names": _compat.argument_names(_label_sums),
        "current_device": _compat.current_device(),
        "current_stream": _compat.current_stream(0),
        "launched": [value for value in launched[0] if isinstance(value, int)],
        "argument_types": types,
        "warps_and_shared_bytes": _compat.warps_and_shared_bytes(compiled),
        "has_plain_launch": _compat.has_plain_launch(compiled),
        "registers": ".maxnreg 64" in _compat.ptx(compiled),
        "fused": "fma." in _compat.ptx(compiled),
        "declares_parameters": launch_list.declares_parameters(
            compiled, [size for size in launch_list.parameter_sizes(compiled) or () if size]
        ),
        "function_handle": _compat.function_handle(compiled),
    }


if __name__ == "__main__":
    print(json.dumps(describe(int(sys.argv[1]))))
