"""Compile what a call would launch on a GPU that is not there: python compiled_launches.py CAPABILITY CALL

Tensors stay on the CPU, kernels get the sizes that a GPU would get, and instead of being started each is compiled by
Triton and its ptxas. Printed are, as JSON, each kernel's name, its shuffles and barriers, and the bytes that did not
fit into registers. To be run without TRITON_INTERPRET.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

TYPES = {
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.bool: "i1",
    torch.uint8: "u8",
    torch.int8: "i8",
    torch.int16: "i16",
    torch.int32: "i32",
    torch.int64: "i64",
}
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
capability, call = int(sys.argv[1]), sys.argv[2]
compiled: dict[str, Any] = {}


def kind(value: Any) -> str:
    """A Triton type."""
    if isinstance(value, torch.Tensor):
        return f"*{TYPES[value.dtype]}"
    if isinstance(value, float):
        return "fp32"
    return "i32" if -(2**31) <= value < 2**31 else "i64"


def stack(cubin: bytes) -> int:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True)
    return int((said.stdout + said.stderr).split("STACK:")[1].split()[0])


def compile_instead(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
    names = [parameter.name for parameter in self.params]
    bound = dict(zip(names, args, strict=False)) | {name: options.pop(name) for name in names if name in options}
    fixed = {p.name: bound[p.name] for p in self.params if p.is_constexpr or bound[p.name] is None}
    signature = {name: "constexpr" if name in fixed else kind(bound[name]) for name in names}
    key = f"{self.__name__} {signature} {fixed}"
    if key not in compiled:
        source = ASTSource(self, signature=signature, constexprs=fixed)
        found = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        compiled[key] = {
            "name": self.__name__,
            "shuffles": found.asm["ptx"].count("shfl.sync"),
            "barriers": found.asm["ptx"].count("bar.sync"),
            "stack": stack(found.asm["cubin"]),
        }


JITFunction.run = compile_instead
from seqloss.kernels.gpu import tiles  # noqa: E402

tiles.interpreted = lambda device: False
exec(call, {})
print(json.dumps(list(compiled.values())))
