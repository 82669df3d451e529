"""Targets prepared on the device: labels that are safe as indices, lengths, and which labels share a class.

Labels and lengths may have any integer type and any value: they are checked as int64 before the conversion to int32. An
invalid row is marked in `refused`. Its invalid labels are replaced by the blank, so that all reads are inside an array.

The first occurrence of a class in a target is its leader. For the sums by class, each label stores the next label of
its class: a chain in ascending order. It takes one comparison of all labels with all, and neither a sort nor atomics.
If there are few classes, each class stores its leader: a long target then has far fewer leaders than labels, and sums
by class visit classes. Separate programs do this at the same time as the row's first program, from the given labels.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from seqloss.kernels.triton.launch import launch_kernel
from seqloss.kernels.triton.tiles import cdiv, is_interpreted, power_of_two

COMPARED = 256
"""Rows that are compared at once to sort them by length."""

FEW_CLASSES = 128
"""Up to so many classes, each class stores its leader."""


class Groups(NamedTuple):
    """Labels of the same class.

    Attributes:
        leaders: with few classes, int32 (batch, classes), the first label of each class, -1 for a class that is not in
            the target; otherwise int8 (batch, labels), 1 where no label before has the same class.
        following: int32 (batch, labels), the next label of the same class, -1 for the last one.
    """

    leaders: torch.Tensor
    following: torch.Tensor


class PreparedTargets(NamedTuple):
    """The targets and all lengths.

    Attributes:
        labels: int32 (batch, labels), the blank for invalid labels and past the length.
        frames, counts: int32 (batch,), frames and labels in use, clamped to their axes.
        required: int32 (batch,), the fewest frames for a path.
        refused: int8 (batch,), 1 for rows with an invalid label or length.
        order: int32 (batch,), the rows, those with the most frames first.
        groups: which labels share a class; None for a loss alone.
    """

    labels: torch.Tensor
    frames: torch.Tensor
    counts: torch.Tensor
    required: torch.Tensor
    refused: torch.Tensor
    order: torch.Tensor
    groups: Groups | None


def has_few_classes(classes: int) -> bool:
    """Whether `Groups.leaders` is by class."""
    return classes <= FEW_CLASSES


def leaders_shape(batch: int, labels: int, classes: int) -> tuple[tuple[int, int], torch.dtype]:
    """The shape and the type of `Groups.leaders`."""
    return ((batch, classes), torch.int32) if has_few_classes(classes) else ((batch, labels), torch.int8)


@triton.jit
def load_leader(leaders, row, unit, count, longest, classes, BY_CLASS: tl.constexpr):
    """The place of a unit, a class or a label, in the target, and whether it is a leader."""
    if BY_CLASS:
        place = tl.load(leaders + row * classes + unit, mask=unit < classes, other=-1)
        leads = place >= 0
    else:
        place = unit
        leads = tl.load(leaders + row * longest + unit, mask=unit < count, other=0) > 0
    return place, leads


@triton.jit
def _clamp_length(lengths, row, whole):
    """A row's length clamped to its axis, and whether that changed it; the whole axis without lengths."""
    given = (whole + 0 * row).to(tl.int64)
    if lengths is not None:
        given = tl.load(lengths + row).to(tl.int64)
    length = tl.minimum(tl.maximum(given, 0), whole).to(tl.int32)
    return length, length != given


@triton.jit
def _load_labels(targets, row, place, inside, stride_row, stride_label, classes, blank):
    """Labels as given, int64; whether they are in use and invalid; and as int32, the blank where not valid."""
    at = targets + row * stride_row + place.to(tl.int64) * stride_label
    label = tl.load(at, mask=inside, other=0).to(tl.int64)
    bad = inside & ((label < 0) | (label >= classes) | (label == blank))
    return label, bad, tl.where(inside & (bad == 0), label, blank).to(tl.int32)


@triton.jit
def _prepare_row(
    targets, logit_lengths, target_lengths, labels_out, frames_out, counts_out, required_out, refused_out, order_out,
    row, stride_row, stride_label, batch, time, classes, longest, blank, LABELS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Store a row's labels and lengths, whether it is refused, and its rank by length."""
    frames, wrong_frames = _clamp_length(logit_lengths, row, time)
    count, wrong_count = _clamp_length(target_lengths, row, longest)
    wrong = (wrong_frames | wrong_count).to(tl.int32)
    repeats = 0
    start = 0
    while start < longest:
        place = start + tl.arange(0, LABELS)
        inside = place < count
        follows = inside & (place > 0)
        label, bad, clean = _load_labels(targets, row, place, inside, stride_row, stride_label, classes, blank)
        before = _load_labels(targets, row, place - 1, follows, stride_row, stride_label, classes, blank)[0]
        wrong = tl.maximum(wrong, tl.max(bad.to(tl.int32), 0))
        repeats += tl.sum((follows & (label == before)).to(tl.int32), 0)
        tl.store(labels_out + row * longest + place, clean, mask=place < longest)
        start += LABELS
    tl.store(frames_out + row, frames)
    tl.store(counts_out + row, count)
    tl.store(required_out + row, count + repeats)
    tl.store(refused_out + row, wrong.to(tl.int8))
    # the rank is the number of rows that are longer, or as long and earlier
    longer = row.to(tl.int32)
    if logit_lengths is not None:
        longer = 0
        start = 0
        while start < batch:
            other = start + tl.arange(0, ROWS)
            given = tl.load(logit_lengths + other, mask=other < batch, other=-1).to(tl.int64)
            given = tl.minimum(tl.maximum(given, 0), time).to(tl.int32)
            ahead = (given > frames) | ((given == frames) & (other < row))
            longer += tl.sum((ahead & (other < batch)).to(tl.int32), 0)
            start += ROWS
    tl.store(order_out + longer, row.to(tl.int32))


@triton.jit
def _group_labels(
    targets, target_lengths, leaders, following_out, row, first_place, stride_row, stride_label, classes, longest,
    blank, UNITS: tl.constexpr, COMPARED: tl.constexpr, BY_CLASS: tl.constexpr,
):  # fmt: skip
    """Store the successors of UNITS labels, and which of them are leaders, or the leaders of UNITS classes."""
    place = first_place + tl.arange(0, UNITS)
    count, _ = _clamp_length(target_lengths, row, longest)
    inside = place < count
    label = tl.where(inside, _load_labels(targets, row, place, inside, stride_row, stride_label, classes, blank)[2], -1)
    first = tl.full([UNITS], 2**31 - 1, tl.int32)
    following = tl.full([UNITS], 2**31 - 1, tl.int32)
    sought = label
    if BY_CLASS:
        sought = place
    start = 0
    while start < count:
        other_place = start + tl.arange(0, COMPARED)
        other_inside = other_place < count
        other = _load_labels(targets, row, other_place, other_inside, stride_row, stride_label, classes, blank)[2]
        other = tl.where(other_inside, other, -2)
        here = tl.where(other[None, :] == sought[:, None], other_place[None, :], 2**31 - 1)
        first = tl.minimum(first, tl.min(here, 1))
        after = (other[None, :] == label[:, None]) & (other_place[None, :] > place[:, None])
        following = tl.minimum(following, tl.min(tl.where(after, other_place[None, :], 2**31 - 1), 1))
        start += COMPARED
    following = tl.where(following == 2**31 - 1, -1, following)
    tl.store(following_out + row * longest + place, following, mask=place < longest)
    if BY_CLASS:
        first = tl.where(first == 2**31 - 1, -1, first)
        tl.store(leaders + row * classes + place, first, mask=place < classes)
    else:
        tl.store(leaders + row * longest + place, (first == place).to(tl.int8), mask=place < longest)


@triton.jit
def _prepare_targets_kernel(
    targets, logit_lengths, target_lengths, labels_out, frames_out, counts_out, required_out, refused_out,
    order_out, leaders, following, stride_row, stride_label, batch, time, classes, longest, blank, parts,
    LABELS: tl.constexpr, ROWS: tl.constexpr, UNITS: tl.constexpr, COMPARED: tl.constexpr, BY_CLASS: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(0) // parts).to(tl.int64)
    part = tl.program_id(0) % parts
    if part == 0:
        _prepare_row(
            targets, logit_lengths, target_lengths, labels_out, frames_out, counts_out, required_out, refused_out,
            order_out, row, stride_row, stride_label, batch, time, classes, longest, blank, LABELS, ROWS,
        )  # fmt: skip
    else:
        if leaders is not None:
            _group_labels(
                targets, target_lengths, leaders, following, row, (part - 1) * UNITS, stride_row, stride_label, classes,
                longest, blank, UNITS, COMPARED, BY_CLASS,
            )  # fmt: skip


def prepare_targets(
    targets: torch.Tensor,
    logit_lengths: torch.Tensor | None,
    target_lengths: torch.Tensor | None,
    *,
    time: int,
    classes: int,
    blank: int,
    grouped: bool = False,
) -> PreparedTargets:
    """Check and prepare every label and length in use.

    Args:
        targets: integers (batch, labels), any strides; logit_lengths, target_lengths: integers (batch,), None for all
            of an axis; on one device.
        time, classes: the logits' axes.
        blank: from 0.
        grouped: find out which labels share a class, for the gradient.
    """
    batch, longest = targets.shape
    new = {"device": targets.device}
    labels = torch.empty((batch, longest), dtype=torch.int32, **new)
    frames, counts, required, order = (torch.empty(batch, dtype=torch.int32, **new) for _ in range(4))
    refused = torch.empty(batch, dtype=torch.int8, **new)
    few, in_interpreter = has_few_classes(classes), is_interpreted(targets.device)
    groups, units = None, 0
    if grouped:
        shape, kind = leaders_shape(batch, longest, classes)
        following = torch.empty((batch, longest), dtype=torch.int32, **new)
        groups = Groups(torch.empty(shape, dtype=kind, **new), following)
        units = max(longest, classes) if few else longest
    if batch:
        block, of_part, compared = (1 << 14, 512, 512) if in_interpreter else (1024, 8, 256)
        of_part = min(of_part, power_of_two(units))
        parts = 1 + cdiv(units, of_part)
        launch_kernel(
            _prepare_targets_kernel, batch * parts,
            targets, *map(contiguous_lengths, (logit_lengths, target_lengths)), labels, frames, counts, required,
            refused, order, *(groups or (None, None)), *targets.stride(), batch, time, classes, longest, blank, parts,
            LABELS=min(block, power_of_two(longest)), ROWS=COMPARED, UNITS=of_part,
            COMPARED=min(compared, power_of_two(longest)), BY_CLASS=few,
        )  # fmt: skip
    return PreparedTargets(labels, frames, counts, required, refused, order, groups)


def contiguous_lengths(lengths: torch.Tensor | None) -> torch.Tensor | None:
    """Lengths in contiguous memory, as kernels read them."""
    return None if lengths is None else lengths.contiguous()
