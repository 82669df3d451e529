"""Large pages for memory that somebody else has just allocated.

A fresh page costs a fault when it is first written to, and with pages of 4 KiB a large result pays more for faults than
for its numbers. NumPy asks the system for large pages where it allocates; XLA does not.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache

import numpy as np

WORTH_BYTES = 4 * 2**20
"""Under this, a large page may hold more of other arrays than of this one."""


def request_large_pages(array: np.ndarray) -> None:
    """Ask for large pages under a contiguous array that nothing has been written to: a hint, which may be ignored."""
    begin = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    size = (array.ctypes.data + array.nbytes - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    libc = _libc()
    if size >= WORTH_BYTES and libc is not None:
        libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), mmap.MADV_HUGEPAGE)


@cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" and hasattr(mmap, "MADV_HUGEPAGE") else None
