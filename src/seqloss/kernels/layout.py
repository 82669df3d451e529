"""How the scratch of one row is laid out: states in whole vectors with empty ones around them, emissions by class.

A frame's states are chunks of `lanes` labels. An empty chunk stands before each frame's, so that the label before the
first, and the one after the last, can be read like any other: they hold nothing.
"""

from __future__ import annotations

from numba.extending import register_jitable

LANES = (16, 8)
"""Labels in a vector: float32 and float64."""

SLOT_STEP = 8
"""Classes in a vector while emissions are computed, which is in float64."""


@register_jitable
def section(labels, width):
    """Elements of one frame's states: an empty chunk, then those of labels 0..L; the next row's empty chunk ends it."""
    return (labels // width + 2) * width


@register_jitable
def workspace_size(frames, labels, count, width, keep):
    """Elements that a row's sums need, of mantissas and of exponents each, for `count` classes in use."""
    rows = frames + 1 if keep else 2
    return frames * slots_size(count) + (2 * rows + 7) * section(labels, width) + 4 * width


@register_jitable
def slots_size(count):
    """Elements of one frame's emissions: the classes in use, at least one that is empty, in whole vectors."""
    return (count // SLOT_STEP + 1) * SLOT_STEP
