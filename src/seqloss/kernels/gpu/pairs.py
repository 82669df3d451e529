"""Sums in pairs of neighbours: their bits do not follow from the block's size, or from how a compiler lays it out.

((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7)): each step adds two numbers, which has one result in either order, and zeros
behind the last number change nothing. So a row's sum is the same in a block that a longer batch mate made larger.
"""

import triton
import triton.language as tl


@triton.jit
def pairwise(x, ROWS: tl.constexpr, COLUMNS: tl.constexpr, LOG2_COLUMNS: tl.constexpr):
    """The sum of each row, (rows,), of (rows, columns); columns is a power of two."""
    for level in tl.static_range(LOG2_COLUMNS):
        x = tl.sum(tl.reshape(x, [ROWS, COLUMNS >> (level + 1), 2]), 2)
    return tl.reshape(x, [ROWS])
