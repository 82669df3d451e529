"""Compiled kernels are found again, are never stale, and work where nothing can be kept."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seqloss
from seqloss.kernels.numba.kernel_cache import package_of

from ...pages import assert_shown

CALL = """
import time
import numpy as np
import seqloss.contract as contract
start = time.process_time()
from seqloss.kernels.ctc.batch import loss_and_grad
logits = np.zeros((1, 2, 3), np.float32)
loss = loss_and_grad(logits, contract.validate(logits.shape, [[1]]))[0][0]
print(loss, time.process_time() - start)
"""
BESIDE_NUMBA = f"""
import time
import numba
import numpy as np
import seqloss.contract

FUNCTION = '''
def function(x, y, out):
    total, ties = 0.0, 0
    for i in range(x.shape[0]):
        largest = x[i, 0]
        for j in range(x.shape[1]):
            a = x[i, j] * 1.5 + y[j]
            largest = max(largest, a)
            ties += a == largest
            out[i, j] = a / (1.0 + a * a)
        for j in range(x.shape[1]):
            total += np.exp(out[i, j] - largest)
            out[i, j] = total if j % 3 else -total
    y[:] = out[0] * total
    return total, ties
'''

def compile(times):
    start = time.process_time()
    for _ in range(times):
        scope = dict(np=np)
        exec(FUNCTION, scope)
        numba.njit("Tuple((f8, i8))(f4[:, ::1], f8[::1], f8[:, ::1])")(scope["function"])
    return time.process_time() - start

compile(1)  # what Numba does once
before = compile(4)
{CALL.replace("print(loss, time.process_time() - start)", "seconds = time.process_time() - start")}
print(loss, seconds / (before + compile(4)))
"""
MOST = 3.7
"""Times what Numba takes to compile eight functions: 3.0 to 3.2 on an EPYC of 2.0 GHz, where the call takes 18 s."""


def call(
    cache: Path, *, source: Path | None = None, program: str = CALL, **environment: str
) -> tuple[float, float, str]:
    """In a new process: the loss, the processor seconds of the first call, and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "SEQLOSS_CACHE_DIR": str(cache),
            **({"PYTHONPATH": str(source)} if source else {}),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    loss, seconds = map(float, done.stdout.split())
    return loss, seconds, done.stderr


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, float, str]:
    cache = tmp_path_factory.mktemp("cache")
    return cache, *call(cache, program=BESIDE_NUMBA)


@pytest.mark.long
def test_the_first_call_compiles_and_reports_it(warm) -> None:
    _, loss, _, said = warm
    assert loss == pytest.approx(1.0986123)
    assert re.fullmatch(r"seqloss: compiling a CPU kernel for this machine, once .*\n", said)
    assert_shown("docs/start/install.md", "compiling a CPU kernel", said, exactly=True)


@pytest.mark.long
def test_the_first_call_compiles_no_longer_than_so_many_functions_of_numbas(warm, tmp_path: Path) -> None:
    taken = [warm[2]]
    while min(taken) >= MOST and len(taken) < 3:  # other work on the machine makes some longer
        taken.append(call(tmp_path / str(len(taken)), program=BESIDE_NUMBA)[1])
    assert min(taken) < MOST


@pytest.mark.long
def test_a_new_process_finds_the_kernel_within_a_second_and_a_half_and_is_silent(warm) -> None:
    results = [call(warm[0]) for _ in range(3)]
    assert {said for _, _, said in results} == {""}
    assert min(seconds for _, seconds, _ in results) < 1.5


@pytest.mark.long
def test_an_edit_in_a_file_that_a_kernel_calls_is_seen(warm, tmp_path: Path) -> None:
    shutil.copytree(Path(seqloss.__file__).parent, tmp_path / "seqloss")
    part = tmp_path / "seqloss" / "kernels" / "ctc" / "emissions.py"
    times = part.stat()
    text, edited = "0.0), -1\n", "0.0), 0\n"
    assert text in part.read_text()
    part.write_text(part.read_text().replace(text, edited))
    os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
    loss, _, said = call(warm[0], source=tmp_path)
    assert "compiling" in said
    assert loss == pytest.approx(1.0986123 + 2 * (1.3862944 - 1.0986123))


def test_the_cache_key_of_a_kernel_in_a_subfolder_is_that_of_its_package() -> None:
    def kernel() -> None: ...

    for module in ("seqloss.kernels.ctc.rows", "seqloss.kernels.ctc.deep.inside"):
        kernel.__module__ = module
        assert package_of(kernel) == "seqloss.kernels.ctc"


def stamp(source: Path, package: str = "seqloss.kernels.ctc") -> str:
    """The hash under which the kernels of a package are cached, in a copy of the sources."""
    program = f"from seqloss.kernels.numba.kernel_cache import source_hash; print(source_hash({package!r}))"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("kernels/ctc/emissions.py", True),
        ("kernels/ctc/deep/inside.py", True),  # a subfolder of the kernel's own package
        ("kernels/numba/bits.py", True),
        ("contract/constants.py", True),
        ("kernels/other/rows.py", False),  # another loss
        ("kernels/triton/tiles.py", False),
        ("numpy/arrays.py", False),
    ],
)
def test_a_kernel_is_compiled_again_after_an_edit_in_what_it_is_made_of_and_in_nothing_else(
    file: str, stale: bool, tmp_path: Path
) -> None:
    shutil.copytree(Path(seqloss.__file__).parent, tmp_path / "seqloss")
    before = stamp(tmp_path)
    edited = tmp_path / "seqloss" / file
    edited.parent.mkdir(exist_ok=True)
    with edited.open("a") as stream:
        stream.write("# an edit\n")
    assert (stamp(tmp_path) != before) == stale


@pytest.mark.long
def test_without_a_folder_that_can_be_written_the_kernel_works_all_the_same(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    loss, _, _ = call(blocked)
    assert loss == pytest.approx(1.0986123)


@pytest.mark.long
def test_a_torn_cache_costs_a_compilation_and_no_error(warm, tmp_path: Path) -> None:
    shutil.copytree(warm[0], tmp_path / "cache")
    for file in (tmp_path / "cache").rglob("*.nb?"):
        file.write_bytes(file.read_bytes()[:100])
    loss, _, said = call(tmp_path / "cache")
    assert loss == pytest.approx(1.0986123)
    assert "compiling" in said


IMPORT = """
import sys
from pathlib import Path
import seqloss.kernels.ctc.batch
assert not Path(sys.argv[1]).exists(), "a folder was made"
"""


def test_an_import_makes_no_folder_and_needs_no_home(tmp_path: Path) -> None:
    environment = {**os.environ, "SEQLOSS_CACHE_DIR": str(tmp_path / "cache"), "HOME": "/nonexistent"}
    subprocess.run([sys.executable, "-c", IMPORT, str(tmp_path / "cache")], env=environment, timeout=60, check=True)


def test_read_only_arrays_use_the_kernel_that_is_there() -> None:
    import numpy as np

    from seqloss.contract import validate
    from seqloss.kernels.ctc.batch import loss_and_grad

    logits = np.zeros((2, 4, 3))
    expected = loss_and_grad(logits, validate(logits.shape, [[1], [1]]))
    logits.flags.writeable = False
    rows = validate(logits.shape, np.broadcast_to(np.array([1]), (2, 1)), np.frombuffer(np.array([4, 4]), np.int64))
    for found, wanted in zip(loss_and_grad(logits, rows), expected, strict=True):
        assert found.tobytes() == wanted.tobytes()
