"""Triton's private interfaces are where `seqloss.kernels.triton._compat` expects them; no GPU is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import seqloss
from seqloss.kernels.triton import _compat

MOVED = "Triton has moved what seqloss.kernels.triton._compat depends on"
SCRIPT = Path(__file__).parent / "compile_and_describe.py"
PRIVATE = re.compile(r"triton\.runtime|triton\.compiler|triton\._C|knobs|\.asm\b|\.src\.|\.metadata\b|\.arg_names\b")


@pytest.fixture(scope="module", params=[pytest.param(80, marks=pytest.mark.long), 90])
def described(request: pytest.FixtureRequest) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(SCRIPT.parents[3]), *filter(None, [environment.get("PYTHONPATH")])]
    )
    command = [sys.executable, "-W", "ignore", str(SCRIPT), str(request.param)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{MOVED}:\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def test_a_kernel_is_told_from_an_interpreted_one_and_names_its_arguments(described: dict[str, Any]) -> None:
    assert described["is_compiled"], MOVED
    assert described["argument_names"][:2] == ["log_probs", "first"], MOVED
    assert described["argument_names"][-1] == "LABELS", MOVED


def test_the_active_driver_has_a_current_device_and_stream(described: dict[str, Any]) -> None:
    assert (described["current_device"], described["current_stream"]) == (0, 5), MOVED


def test_a_compiled_kernel_has_the_types_of_its_arguments(described: dict[str, Any]) -> None:
    assert described["argument_types"] == [
        "*fp64", "*i64", "i32", "*i64", "i32", "*fp32", "i32", "i32", "i32", "i32", "constexpr",
    ], MOVED  # fmt: skip


def test_a_compiled_kernel_has_its_options(described: dict[str, Any]) -> None:
    warps, shared = described["warps_and_shared_bytes"]
    assert warps == 2, MOVED
    assert isinstance(shared, int), MOVED
    assert described["registers"], MOVED
    assert not described["fused"], MOVED


def test_a_compiled_kernel_declares_its_parameters_in_ptx(described: dict[str, Any]) -> None:
    assert described["has_plain_launch"], MOVED
    assert described["declares_parameters"], MOVED


def test_a_compiled_kernel_is_launched_with_a_grid_and_addresses(described: dict[str, Any]) -> None:
    assert described["launched"] == [6, 1, 1, 5, described["function_handle"], *range(100, 110), 16], MOVED
    assert described["function_handle"] == 4711, MOVED


def test_an_interpreted_kernel_is_not_compiled() -> None:
    from seqloss.kernels.triton.spans import _label_sums

    assert _compat.is_compiled(_label_sums) == (os.environ.get("TRITON_INTERPRET") != "1"), MOVED


def test_no_other_file_uses_a_private_interface_of_triton() -> None:
    package = Path(seqloss.__file__).parent / "kernels" / "triton"
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if PRIVATE.search(path.read_text()) and path.name != "_compat.py"
    }
    assert found == set()
