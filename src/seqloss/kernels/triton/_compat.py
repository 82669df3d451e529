"""Triton's private interfaces that launching depends on; `tests/kernels/triton/test_compat.py` fails when one moves.

Each function names the interface that it uses. No other file of the package uses a private interface of Triton.
"""

from __future__ import annotations

from typing import Any

from triton.runtime import driver
from triton.runtime.jit import JITFunction


def is_compiled(kernel: Any) -> bool:
    """Whether a kernel is compiled for a device: `triton.jit` makes an `InterpretedFunction` under TRITON_INTERPRET=1.

    Uses `triton.runtime.jit.JITFunction`.
    """
    return isinstance(kernel, JITFunction)


def argument_names(kernel: Any) -> list[str]:
    """The names of a kernel's arguments, constants included, in order. Uses `JITFunction.arg_names`."""
    return kernel.arg_names


def current_device() -> int:
    """The number of the device on which Triton launches kernels. Uses `driver.active.get_current_device`."""
    return driver.active.get_current_device()


def current_stream(device: int) -> int:
    """The handle of a device's current stream. Uses `driver.active.get_current_stream`."""
    return driver.active.get_current_stream(device)


def compile_and_launch(
    kernel: Any, programs: int, args: tuple[Any, ...], constants: dict[str, Any], *, warps: int, registers: int | None
) -> Any:
    """Let Triton look up or compile a kernel and launch it; the compiled kernel.

    Uses what `JITFunction.__getitem__` returns, and the options `num_warps`, `maxnreg` and `enable_fp_fusion`.
    """
    return kernel[(programs,)](*args, **constants, num_warps=warps, maxnreg=registers, enable_fp_fusion=False)


def launch_compiled(compiled: Any, programs: int, values: list[Any], constants: Any) -> None:
    """Launch a compiled kernel; pointers are addresses. Uses `CompiledKernel.__getitem__`, with a grid of three."""
    compiled[(programs, 1, 1)](*values, *constants)


def argument_types(compiled: Any) -> list[str]:
    """Triton's name of each argument's type, such as `*fp32`, `i32` or `constexpr`. Uses `CompiledKernel.src`."""
    return list(compiled.src.signature.values())


def warps_and_shared_bytes(compiled: Any) -> tuple[int, int]:
    """Warps of a program, and its bytes of shared memory. Uses `CompiledKernel.metadata`."""
    return compiled.metadata.num_warps, compiled.metadata.shared


def has_plain_launch(compiled: Any) -> bool:
    """Whether a kernel needs neither a cluster of programs nor memory that Triton's launcher allocates.

    Uses `num_ctas`, `global_scratch_size` and `profile_scratch_size` of `CompiledKernel.metadata`.
    """
    metadata = compiled.metadata
    return metadata.num_ctas == 1 and not metadata.global_scratch_size and not metadata.profile_scratch_size


def ptx(compiled: Any) -> str:
    """A kernel's PTX; empty if Triton does not keep it. Uses `CompiledKernel.asm`."""
    return compiled.asm.get("ptx", "")


def function_handle(compiled: Any) -> int:
    """The CUDA driver's handle of a kernel that was launched before. Uses `CompiledKernel.function`."""
    return compiled.function
