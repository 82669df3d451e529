"""The block sizes of the kernels: one small table for GPUs, one for Triton's interpreter.

On a GPU, a block fills the registers of some warps. The interpreter takes the same time for an operation of any size,
so there a block is as large as the batch. Sizes depend on the axes of a batch, but not on its rows. Sums whose order
would depend on the block size are either over classes, or pairwise (`pairs.sum_pairwise`), so that no bit depends on
the sizes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

LONGEST = 1024
"""The most columns of path sums in one block; longer targets have several blocks."""

BLOCKS_AT_ONCE = 8
"""The most blocks of classes in registers at once."""

FEW = 264
"""So many programs leave at most two on each multiprocessor of a large GPU."""

SIDE_BY_SIDE = (256, 512)
"""Columns of a long target's blocks, the fastest first, if all programs together are at most `FEW`.

Nanoseconds a frame on an H100, of 800 and 1,500 labels: 256 columns 306 and 302, 512 columns 345 and 346, 1,024 columns
488 and 482; 128 columns, with 4 of them in a lane, 380 and 379.
"""

PARTS_OF_FEW = {128: 1, 256: 2, 512: 2, 1024: 4}
"""Neighbouring columns of a lane, by the columns of the block, if passes are at most `FEW`.

Nanoseconds a frame on an H200: 128 columns 208, 220 and 283 with 1, 2 and 4 of them, 256 columns 248 and 238 with 1
and 2. Of 512 and 1,024 no others were tried.
"""


class Tile(NamedTuple):
    """A block of two axes, `parts` of them at once, and the warps that hold it."""

    rows: int
    columns: int
    parts: int = 1
    warps: int = 4


def power_of_two(size: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << max(0, size - 1).bit_length()


def cdiv(size: int, block: int) -> int:
    """The number of blocks of a size that cover it."""
    return -(-size // block)


def is_interpreted(device: torch.device) -> bool:
    """Whether kernels on this device's tensors run in Triton's interpreter."""
    return device.type == "cpu"


def classes_tile(device: torch.device, time: int, classes: int, block: int, warps: int = 4) -> Tile:
    """Frames by classes, for the two passes over the logits.

    Args:
        block: the classes of a block. With fewer classes, a block has several frames, 512 scores in all.
        warps: the warps of such a block.

    Microseconds on an H200 of both passes for 32 rows of 1,000 frames and 128 classes: 512 scores with 2 warps 27 and
    23, with 4 warps 30 and 20; 1,024 with 4 warps 28 and 24.
    """
    if is_interpreted(device):
        columns = min(1 << 12, power_of_two(classes))
        return Tile(min(power_of_two(time), max(1, (1 << 18) // columns)), columns)
    columns = min(block, max(16, power_of_two(classes)))
    blocks = cdiv(classes, columns)
    parts = cdiv(blocks, cdiv(blocks, BLOCKS_AT_ONCE))
    if columns == block:
        return Tile(1, columns, parts, warps=max(4, columns // 256))
    return Tile(max(1, 512 // columns), columns, parts, warps=max(warps, columns // 256))


def classes_per_access(logits: torch.Tensor) -> int:
    """How many neighbouring classes one access may load in every frame: up to 16 bytes.

    Kernels get the number of classes and the strides in units of it. So the compiler knows what it may load together,
    even if 16 does not divide the number of classes.
    """
    batch, time, classes = logits.shape
    found = 16 // logits.element_size()
    strides = (classes, logits.stride(0) if batch > 1 else 0, logits.stride(1) if time > 1 else 0)
    while any(stride % found for stride in strides):
        found //= 2
    return found


def labels_tile(device: torch.device, time: int, labels: int) -> Tile:
    """Frames by labels, for values per label."""
    if is_interpreted(device):
        columns = min(2048, power_of_two(labels))
        return Tile(min(power_of_two(time), max(1, (1 << 18) // columns)), columns)
    columns = min(512, max(16, power_of_two(labels)))
    return Tile(max(1, 256 // columns), columns, warps=1)


class Walks(NamedTuple):
    """A block of path sums: `rows` rows of `chunks` lines of `lanes` lanes of `parts` columns.

    A column is a label and the blank before it. The data of `together` frames are loaded while as many frames before
    them are computed. `registers` is the most registers of a thread, None for no limit.
    """

    rows: int
    chunks: int
    lanes: int
    parts: int
    warps: int
    together: int = 2
    registers: int | None = None

    @property
    def columns(self) -> int:
        """Of a row."""
        return self.chunks * self.lanes * self.parts


def walks_tile(device: torch.device, walks: int, labels: int) -> Walks:
    """For passes over whole rows with targets of up to `labels` labels; one more column holds the last blank."""
    few = walks <= FEW
    longest = next((columns for columns in SIDE_BY_SIDE if walks * cdiv(labels + 1, columns) <= FEW), LONGEST)
    columns = _block_columns(device, labels, min(LONGEST, longest))
    if few and columns > 64:  # 64 columns need no second warp, nor a barrier
        parts = PARTS_OF_FEW[columns]
    else:  # many fill the schedulers: the fewest instructions are best
        parts = 2 if columns <= 64 else 4
    return _arrange_lanes(device, walks, columns, parts, alone=few)


def segments_tile(device: torch.device, segments: int, labels: int) -> Walks:
    """For passes over segments.

    There are enough segments to fill the schedulers, if registers allow: with 64 per thread, a multiprocessor runs 32
    warps, and nothing is spilled. (For a single warp with fewer than 96, the compiler would delay loads until their
    first use.) Microseconds on an H100 with 1, 2 and 4 parts: 143, 163 and 218 for 32 rows of 1,000
    frames and 200 labels; 1,507 and 2,004 with 2 and 4 for 4 rows of 8,000 frames and 1,500 labels.
    """
    columns = _block_columns(device, labels, LONGEST)
    if columns > 256:
        return _arrange_lanes(device, segments, columns, 2, alone=True)
    tile = _arrange_lanes(device, segments, columns, 1, alone=True)
    return tile._replace(registers=64 if tile.warps > 1 else 96)


def _block_columns(device: torch.device, labels: int, longest: int) -> int:
    """Columns of a block; on a GPU at least four: for one lane, Triton 3.6 cannot describe the layout of addresses."""
    return max(1 if is_interpreted(device) else 4, min(longest, power_of_two(labels + 1)))


def _arrange_lanes(device: torch.device, walks: int, columns: int, parts: int, *, alone: bool) -> Walks:
    """Lines and lanes of a block; with `alone`, one pass per program, otherwise as many as fill a warp."""
    if is_interpreted(device):
        return Walks(power_of_two(max(1, walks)), 1, columns, 1, warps=1)
    parts = min(max(1, columns // 32), parts)
    chunks = max(1, columns // (32 * parts))
    lanes = columns // (chunks * parts)
    rows = 1 if alone else max(1, 32 // lanes)
    return Walks(rows, chunks, lanes, parts, warps=chunks, together=4 if parts <= 2 else 2)
