"""Sums in pairs of neighbours: their bits do not follow from the block's size, or from how a compiler lays it out.

((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)): each step adds two numbers, which has one result in either order, and
zeros behind the last number change nothing. So a row's sum is the same in a block that a longer batch mate made larger.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)

import triton
import triton.language as tl


@triton.jit
def pairwise(x, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The sum of each row, (rows,), of (rows, columns); columns is a power of two, up to 2^12."""
    for level in tl.static_range(12):
        if COLUMNS >> level > 1:
            x = tl.sum(tl.reshape(x, [ROWS, COLUMNS >> (level + 1), 2]), 2)
    return tl.reshape(x, [ROWS])


@triton.jit
def pairwise_over_parts(parts, ROWS: tl.constexpr, LANES: tl.constexpr, PARTS: tl.constexpr):
    """The same of columns that lie in lanes, each with a tuple of neighbours (rows, lanes)."""
    for level in tl.static_range(4):
        if PARTS >> level > 1:
            halved = ()
            for i in tl.static_range(PARTS >> (level + 1)):
                halved = halved + (parts[2 * i] + parts[2 * i + 1],)
            parts = halved
    return pairwise(parts[0], ROWS, LANES)
