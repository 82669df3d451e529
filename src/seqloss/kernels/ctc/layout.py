"""The layout of one row's scratch: states in whole vectors, emissions by class, sums of some frames or of all.

A row's labels 0..L are stored in chunks of `LANES`. Label L does not exist; its blank is the last blank of the target.
"""

from __future__ import annotations

from numba.extending import register_jitable

LANES = 8
"""Labels in a vector: path sums are in float64."""

BLOCK = 15
"""Frames at most that share their exponents, see `blocks.py`."""

FRAMES = 2 * LANES
"""A block's frames in whole vectors."""

TOGETHER = 1024
"""Scores of the frames that are measured together."""

KEPT_BYTES, KEPT_EMISSIONS_BYTES = 2**21, 2**18
"""The most bytes for the sums of a segment, and for the label emissions of a row; see `blocks.py`."""


@register_jitable
def chunk_count(labels):
    """Vectors that hold the states of labels 0..L."""
    return labels // LANES + 1


@register_jitable
def pair_size(labels):
    """Elements of one frame's states, labels and blanks."""
    return 2 * chunk_count(labels) * LANES


@register_jitable
def slots_size(count):
    """Elements of one frame's emissions: `count` classes and at least one empty slot, in whole vectors."""
    return (count // LANES + 1) * LANES


@register_jitable
def segment_frames(frames, labels):
    """Frames whose sums are kept at a time."""
    if 8 * (frames + 1) * pair_size(labels) <= KEPT_BYTES:
        return max(1, frames)
    return max(BLOCK, KEPT_BYTES // (8 * pair_size(labels)) - 1)


@register_jitable
def keeps_label_emissions(frames, labels):
    """Whether a row's label emissions are kept for the backward pass; otherwise they are gathered again."""
    return 8 * frames * chunk_count(labels) * LANES <= KEPT_EMISSIONS_BYTES


@register_jitable
def extended_frame_size(labels):
    """Elements of one frame's sums in extended-exponent numbers: an empty chunk, then labels 0..L.

    The empty chunk of the next frame ends it.
    """
    return (labels // LANES + 2) * LANES


@register_jitable
def extended_size(frames, labels, slots, keep):
    """Elements of a row's workspace for extended-exponent numbers, for mantissas and for exponents each."""
    rows = frames + 1 if keep else 2
    return frames * slots + (2 * rows + 7) * extended_frame_size(labels) + 4 * LANES


def space_sizes(frames, labels, classes, keep):
    """Elements for each array of `blocks.Space`: enough for any row with no more frames and labels."""
    width, two = chunk_count(labels) * LANES, pair_size(labels)
    sums = min((frames + 2) * two, max((BLOCK + 1) * two, KEPT_BYTES // 8)) if keep else 2 * two
    saved = -(-frames // segment_frames(frames, labels)) * two if keep else 0
    return {
        "sums": sums,
        "opened": sums,
        "exponents": sums // 2,
        "saved": saved,
        "saved_exponents": saved // 2,
        "firsts": frames + 3,
        "label_emissions": max(BLOCK * width, min(frames * width, KEPT_EMISSIONS_BYTES // 8)),
        "scales": width,
        "beta": two,
        "beta_exponents": width,
        "by_number": FRAMES * most_slots(labels, classes),
        "posteriors": FRAMES * most_slots(labels, classes),
        "totals": FRAMES,
    }


def most_slots(labels, classes):
    """Elements of one frame's emissions, whether all classes are numbered or those in use."""
    return slots_size(min(classes, 2 * (labels + 1)))


def floats_size(frames, labels, classes):
    """float64 elements of a row's workspace, see `rows.lay_out_row`."""
    return chunk_count(labels) * LANES + (frames + 3) * most_slots(labels, classes) + 4 * frames


def integers_size(labels, classes):
    """int64 elements of a row's workspace, see `rows.lay_out_row`."""
    return chunk_count(labels) * LANES + most_slots(labels, classes) + classes
