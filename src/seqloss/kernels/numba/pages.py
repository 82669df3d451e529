"""Large pages for memory that was allocated elsewhere.

The first write to a new page causes a page fault. With pages of 4 KiB, a large result takes more time for page faults
than for its numbers. NumPy requests large pages for its own allocations; XLA does not.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache

import numpy as np

WORTH_BYTES = 4 * 2**20
"""Below this size, a large page might hold more of other arrays than of this one."""


def request_large_pages(array: np.ndarray) -> None:
    """Request large pages for a contiguous array that was not written to yet: a hint, which may be ignored."""
    begin = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (array.ctypes.data + array.nbytes - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    libc = _libc()
    if size >= WORTH_BYTES and libc is not None:
        libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), mmap.MADV_HUGEPAGE)


@cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" and hasattr(mmap, "MADV_HUGEPAGE") else None
