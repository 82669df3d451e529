"""Right on a baseline x86-64 (no FMA, 128-bit vectors), on AVX2 and AVX-512; compiled, if not run, for arm64."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
CLAIMS = [
    "ctc/test_rows.py",
    "ctc/test_blocks.py",
    "numba/test_softmax.py",
    "numba/test_extended_exponent.py",
    "numba/test_threads.py",
]


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="instruction sets of x86-64")
@pytest.mark.parametrize("processor", ["generic", "x86-64-v3", "x86-64-v4"])
def test_what_is_claimed_of_the_kernel_holds_on_every_instruction_set(processor: str, tmp_path: Path) -> None:
    if processor == "x86-64-v4" and "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine has no AVX-512")
    environment = {
        **os.environ,
        "SEQLOSS_CACHE_DIR": str(tmp_path),
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "",
    }
    tests = [str(HERE / name) for name in CLAIMS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not long", "-p", "no:cacheprovider", *tests],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:]


ARM = """
import re
import llvmlite.binding as llvm
import numpy as np
from numba import njit
from numba.core.codegen import CPUCodeLibrary
from seqloss import contract
from seqloss.kernels.ctc import batch
from seqloss.kernels.numba.compilation import OPTIONS
from seqloss.kernels.ctc.batch import loss_and_grad

modules, arguments, rows, finish = [], [], batch.compute_rows, CPUCodeLibrary._finalize_final_module


def keep(library):
    modules.append(str(library._final_module))
    return finish(library)


CPUCodeLibrary._finalize_final_module = keep
batch.compute_rows = lambda *given: arguments.extend(given)
loss_and_grad(np.zeros((1, 2, 3), np.float32), contract.validate((1, 2, 3), [[1]]))
njit(nogil=True, **OPTIONS)(rows.__wrapped__)(*arguments)
code = max(modules, key=len)
own = set(re.findall(r"@llvm[.]x86[.]([\\w.]+)", code))
assert own <= {"atomic.sub.cc.i64"}, own  # Numba's reference counts; of ours nothing is one machine's
code = code.replace("@llvm.x86.", "@x86.").replace(" immarg", "")
module = llvm.parse_assembly("\\n".join(line for line in code.splitlines() if not line.startswith("target ")))
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
module.triple = "aarch64-unknown-linux-gnu"
machine = llvm.Target.from_triple(module.triple).create_target_machine(cpu="neoverse-n1", opt=2)
module.data_layout = str(machine.target_data)
print(sum("fmla" in line for line in machine.emit_assembly(module).splitlines()))
"""


@pytest.mark.long
def test_the_kernel_compiles_for_arm64_with_fused_multiply_adds(tmp_path: Path) -> None:
    environment = {**os.environ, "SEQLOSS_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ARM], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100
