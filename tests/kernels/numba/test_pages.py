"""Large pages are asked for under an array and nowhere else."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from seqloss.kernels.numba import pages

pytestmark = pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="a system without large pages on request"
)


def asked_for(memory: mmap.mmap) -> int:
    """Bytes of a mapping that large pages were asked for."""
    begin = np.frombuffer(memory, np.uint8).ctypes.data
    found, inside, size = 0, False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(end, 16) for end in first.split("-"))
            inside, size = begin <= low and high <= begin + len(memory), high - low
        elif inside and first == "VmFlags:" and "hg" in line.split():
            found += size
    return found


@pytest.mark.parametrize(("offset", "pages_there"), [(0, 2048), (64, 2047)])
def test_large_pages_are_requested_for_the_full_pages_of_an_array(offset: int, pages_there: int) -> None:
    memory = mmap.mmap(-1, 2049 * mmap.PAGESIZE)
    inner = np.frombuffer(memory, np.uint8)[offset : offset + 2048 * mmap.PAGESIZE]
    pages.request_large_pages(inner)
    assert asked_for(memory) == pages_there * mmap.PAGESIZE


def test_a_small_array_keeps_small_pages() -> None:
    memory = mmap.mmap(-1, pages.WORTH_BYTES)
    pages.request_large_pages(np.frombuffer(memory, np.uint8)[: pages.WORTH_BYTES - 1])
    assert asked_for(memory) == 0
