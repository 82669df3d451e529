"""Where the Triton kernels can be tested: on a GPU, or in Triton's interpreter under TRITON_INTERPRET=1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from tests.kernels.triton.fake_driver import Cuda

HERE = Path(__file__).parent
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

collect_ignore_glob = [] if find_spec("triton") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not INTERPRETED and not torch.cuda.is_available():
        why = pytest.mark.skip(reason="no CUDA device; TRITON_INTERPRET=1 runs the kernels without one")
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(why)


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture(autouse=True)
def poisoned_tensors() -> Iterator[None]:
    """Fresh tensors hold NaN, or the largest integer."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def cuda() -> Cuda:
    from tests.kernels.triton.fake_driver import Cuda

    return Cuda([])


@pytest.fixture
def started(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What kernels are started with, as on a GPU, but that nothing runs."""
    from tests.kernels.triton.fake_driver import starting

    with starting(cuda, monkeypatch) as recorded:
        yield recorded


@pytest.fixture(scope="session")
def compile_launches() -> Callable[[str, int], list[dict[str, Any]]]:
    """See `compiled_launches.py`: what a line of Python would launch on a GPU of a compute capability."""

    def compiled(call: str, capability: int) -> list[dict[str, Any]]:
        environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
        command = [sys.executable, "-W", "ignore", str(HERE / "compiled_launches.py"), str(capability), call]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return compiled
