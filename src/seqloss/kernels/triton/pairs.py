"""Pairwise sums, whose bits do not depend on the block size or on the layout that the compiler chooses.

((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)): each step adds two numbers, which gives the same result in either
order, and zeros after the last number change nothing. So a row's sum is the same in a block that is larger because of
a longer row in the batch.
"""

# ruff: noqa: RUF005 (Triton unpacks no tuples)

import triton
import triton.language as tl


@triton.jit
def sum_pairwise(x, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The pairwise sum of each row: (rows, columns) to (rows,); columns is a power of two, up to 2^12."""
    for level in tl.static_range(12):
        if COLUMNS >> level > 1:
            x = tl.sum(tl.reshape(x, [ROWS, COLUMNS >> (level + 1), 2]), 2)
    return tl.reshape(x, [ROWS])


@triton.jit
def sum_parts_pairwise(parts, PARTS: tl.constexpr):
    """The same for the elements of a tuple."""
    for level in tl.static_range(4):
        if PARTS >> level > 1:
            halved = ()
            for i in tl.static_range(PARTS >> (level + 1)):
                halved = halved + (parts[2 * i] + parts[2 * i + 1],)
            parts = halved
    return parts[0]


@triton.jit
def sum_lanes_pairwise(x, lane, LANES: tl.constexpr):
    """The same for the lanes of a warp, (lines, lanes), the sum in each lane: one shuffle per step."""
    for level in tl.static_range(10):
        if LANES >> level > 1:
            x += tl.gather(x, tl.broadcast_to(lane ^ (1 << level), x.shape), 1)
    return x
