"""Where the Triton kernels can be tested: on a GPU, or in Triton's interpreter under TRITON_INTERPRET=1."""

from __future__ import annotations

import functools
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


QUICK = {
    "test_any_number_of_classes": ("kind0", "33", "5000"),
    "test_any_number_of_classes_in_the_blocks_of_a_gpu": ("kind0", "5000"),
    "test_half_types_are_off_by_one_unit_of_their_own": ("wild", "sure by 8, wrong"),
    "test_every_decision_among_ties_is_that_of_the_cpu": ("True", "3-", "6-", "7-"),
    "test_segments_of_any_length_give_the_same_posteriors": ("1", "5"),
    "test_rows_that_are_several_blocks_are_weighed_and_added_up_as_one_block_is": ("sum", "mean"),
}
"""Of the parameters of tests that take Triton's interpreter long, the ones that do for `make test`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name, _, parameters = item.name.partition("[")
        if INTERPRETED and HERE in item.path.parents and not any(kept in parameters for kept in QUICK.get(name, ("",))):
            item.add_marker(pytest.mark.long)
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


READERS = """
import torch
from seqloss.kernels.triton.ctc import align, greedy
for labels, kind, normalize in ((5, torch.float16, False), (1500, torch.float32, True)):
    align.best_paths(
        torch.zeros(2, 3, 9, dtype=kind), torch.ones(2, labels, dtype=torch.int64), torch.full((2,), 3),
        torch.full((2,), labels), blank=0, normalize=normalize,
    )
for classes, kind in ((40, torch.bfloat16), (6000, torch.float32)):
    greedy.read_labels(torch.zeros(2, 3, classes, dtype=kind), torch.full((2,), 3), blank=0, normalize=True)
"""


@pytest.fixture(params=[pytest.param(80, marks=pytest.mark.long), 90])
def readers(
    request: pytest.FixtureRequest, compile_launches: Callable[[str, int], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """The kernels of alignment and greedy reading, compiled in one process."""
    return compile_launches(READERS, request.param)


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

    @functools.cache
    def compiled(call: str, capability: int) -> list[dict[str, Any]]:
        environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
        command = [sys.executable, "-W", "ignore", str(HERE / "compiled_launches.py"), str(capability), call]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return compiled
