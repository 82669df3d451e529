"""Sums in pairs of neighbours: their bits do not follow from the block's size, or from how a compiler lays it out.

((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)): each step adds two numbers, which has one result in either order, and
zeros behind the last number change nothing. So a row's sum is the same in a block that a longer batch mate made larger.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)

import triton
import triton.language as tl


@triton.jit
def sum_pairwise(x, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The sum of each row, (rows,), of (rows, columns); columns is a power of two, up to 2^12."""
    for level in tl.static_range(12):
        if COLUMNS >> level > 1:
            x = tl.sum(tl.reshape(x, [ROWS, COLUMNS >> (level + 1), 2]), 2)
    return tl.reshape(x, [ROWS])


@triton.jit
def sum_parts_pairwise(parts, PARTS: tl.constexpr):
    """The same of neighbours that lie in a tuple."""
    for level in tl.static_range(4):
        if PARTS >> level > 1:
            halved = ()
            for i in tl.static_range(PARTS >> (level + 1)):
                halved = halved + (parts[2 * i] + parts[2 * i + 1],)
            parts = halved
    return parts[0]


@triton.jit
def sum_lanes_pairwise(x, lane, LANES: tl.constexpr):
    """The same of the lanes of a warp, (lines, lanes), in each of them: a shuffle for each step."""
    for level in tl.static_range(10):
        if LANES >> level > 1:
            x += tl.gather(x, tl.broadcast_to(lane ^ (1 << level), x.shape), 1)
    return x
