"""A row gets the same outputs alone, among other rows, in another order, and with more padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seqloss.doctor.batches.parts import replace_parts
from seqloss.doctor.batches.rows import BatchRows
from seqloss.doctor.findings import Finding
from seqloss.doctor.laws.comparing import (
    common_part,
    largest_difference,
    outputs_differ,
    relative_difference,
    tolerance,
)
from seqloss.doctor.model_outputs import batch_axes
from seqloss.doctor.snapshot import unchanged
from seqloss.doctor.subject import NotChecked, Subject
from seqloss.doctor.targets import are_labels_outside

MOST = 4
"""Rows that are tried alone."""

MORE = 8
"""Steps of padding that are added."""

PADDED, LARGE = 0.2, 0.01
"""Share of padding in a batch from which on its statistics matter, and the relative difference that it makes."""

CODE = """\
model.eval()
whole, alone = model(batch), model(batch[:1])
print((whole[:1] - alone).abs().max())
"""

TRAINING_CODE = """\
model.train()  # dropout layers in evaluation mode
plain, padded = model(inputs, lengths), model(F.pad(inputs, (0, 0, 0, 8)), lengths)
print((plain - padded[:, : plain.shape[1]]).abs().max())
"""

LENGTHS_CODE = """\
_, lengths = model(inputs, input_lengths)
_, alone = model(inputs[:1, : input_lengths[0]], input_lengths[:1])
print(lengths[0], alone[0])
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows(least=2)
    with torch.no_grad():
        whole = subject.call_and_see(rows.batch)
        if outputs_differ(whole.outputs, subject.call(rows.batch, model_seed=1).outputs):
            raise NotChecked("the outputs in evaluation mode are random; mend that first")
        if outputs_differ(whole.outputs, subject.call(rows.batch, seed=1).outputs):
            raise NotChecked("the loss gives random inputs to the model")
        axes = _axes_of_one_row(subject, whole.outputs, batch_axes(subject))
        yield from _check_order(subject, whole.outputs, whole.value, axes)
        alone = _call_alone(subject)
        yield from _check_alone(alone, whole.outputs, axes)
        yield from _check_lengths(rows, alone, whole.outputs)
        yield from _check_padding(subject, alone, axes)


def _axes_of_one_row(subject: Subject, outputs: Mapping[str, Tensor], axes: Mapping[str, int]) -> Mapping[str, int]:
    """Without outputs that compare each row with each other one: reversed rows are reversed on both of their axes."""
    rows = subject.rows()
    square = [name for name in axes if outputs[name].shape[:2] == (rows.count, rows.count)]
    if not square:
        return axes
    turned = subject.call(rows.take(range(rows.count)[::-1])).outputs
    pairs = [
        name for name in square if largest_difference(turned[name].flip(0, 1), outputs[name]) <= tolerance(outputs)
        and largest_difference(turned[name].flip(axes[name]), outputs[name]) > tolerance(outputs)
    ]  # fmt: skip
    return {name: axis for name, axis in axes.items() if name not in pairs}


def _call_alone(subject: Subject) -> dict[int, Mapping[str, Tensor]]:
    """The outputs of some rows without their padding; with it, if the model refuses a part that is cut."""
    rows = subject.rows()
    found = {}
    for row in torch.linspace(0, rows.count - 1, min(MOST, rows.count)).long().tolist():
        try:
            found[row] = subject.call(rows.take([row], trim=True)).outputs
        except Exception:
            found[row] = subject.call(rows.take([row])).outputs
    return found


def _check_order(
    subject: Subject, outputs: Mapping[str, Tensor], loss: float, axes: Mapping[str, int]
) -> Iterator[Finding]:
    rows = subject.rows()
    turned = subject.call(rows.take(range(rows.count)[::-1]))
    allowed = tolerance(outputs)
    for name, axis in axes.items():
        difference = largest_difference(turned.outputs[name].flip(axis), outputs[name])
        if difference > allowed:
            if _may_be_time_first(subject, outputs):
                raise NotChecked("rows can be on the first axis or on the second one; add their lengths to the batch")
            yield Finding(
                "outputs-depend-on-order", "error", {"output": name, "relative difference": difference},
                "with the rows of the batch in reverse, a row gets other outputs: something runs over the axis of the "
                "batch, or rows are sorted and not put back",
                "Check batch_first, the axes of reshapes and transposes, and that each sorting is undone", CODE,
            )  # fmt: skip
            return
    if relative_difference(turned.value, loss) > max(allowed, 1e-4) and not are_labels_outside(subject, outputs):
        yield Finding(
            "loss-depends-on-order", "error", {"loss": loss, "in reverse": turned.value},
            "with the rows of the batch in reverse, outputs are the same and the loss is another: inputs and targets "
            "are not in the same order",
            "Sort inputs, lengths and targets together, or not at all", CODE,
        )  # fmt: skip


def _may_be_time_first(subject: Subject, outputs: Mapping[str, Tensor]) -> bool:
    """Whether all parts have one size on their second axis, and outputs are turned with it as those of rows are."""
    rows = subject.rows()
    tensors = [part for part in rows.parts.values() if isinstance(part, Tensor) and part.dim()]
    sizes = {part.shape[1] if part.dim() > 1 else None for part in tensors}
    size = next(iter(sizes))
    if len(sizes) > 1 or size is None or size < 2 or len(tensors) < len(rows.parts):
        return False
    try:
        turned = subject.call(replace_parts(rows.batch, {path: part.flip(1) for path, part in rows.parts.items()}))
    except Exception:
        return False
    pairs = [(turned.outputs.get(name), x) for name, x in outputs.items() if x.is_floating_point() and x.dim() > 1]
    return bool(pairs) and all(
        one is not None and one.shape == x.shape
        and any(largest_difference(one.flip(axis), x) <= tolerance(outputs) for axis in range(2))
        for one, x in pairs
    )  # fmt: skip


def _check_alone(
    alone: Mapping[int, Mapping[str, Tensor]], outputs: Mapping[str, Tensor], axes: Mapping[str, int]
) -> Iterator[Finding]:
    worst: tuple[float, str, int] = (0.0, "", 0)
    for row, own in alone.items():
        for name, axis in axes.items():
            if name not in own:  # the model is called less often
                continue
            found = largest_difference(*common_part(own[name], outputs[name].narrow(axis, row, 1)))
            worst = max(worst, (found, name, row))
    if worst[0] > tolerance(outputs):
        yield Finding(
            "row-depends-on-batch", "error", {"output": worst[1], "row": worst[2], "relative difference": worst[0]},
            "a row alone, without its padding, gets other outputs than in the batch: padding or other rows reach it",
            "Mask the padding after each convolution, in attention and in statistics; pack rows of recurrent layers, "
            "or use seqloss.torch.nn.Recurrent",
            CODE,
        )  # fmt: skip


def _check_lengths(
    rows: BatchRows, alone: Mapping[int, Mapping[str, Tensor]], outputs: Mapping[str, Tensor]
) -> Iterator[Finding]:
    """Lengths that the model returns are those of the row, not those of the batch."""
    found = {name: x for name, x in outputs.items()
             if x.shape == (rows.count,) and not x.is_floating_point() and x.dtype != torch.bool}  # fmt: skip
    if not found or not rows.has_padded_axes:
        return
    for row, own in alone.items():
        for name, lengths in found.items():
            if name in own and own[name].shape == (1,) and int(own[name]) != int(lengths[row]):
                yield Finding(
                    "lengths-depend-on-batch", "error",
                    {"output": name, "row": row, "length in the batch": int(lengths[row]), "alone": int(own[name])},
                    "the length that the model returns for a row is another one when the row is alone: it is not "
                    "computed from the row's own length",
                    "Compute lengths as each layer does: (length + 2 * padding - kernel) // stride + 1", LENGTHS_CODE,
                )  # fmt: skip
                return


def _outputs_from_now(subject: Subject, batch: object, train: bool) -> Mapping[str, Tensor]:
    """With the state that the model has now, which a call in training mode may change.

    In training mode, only layers that take statistics of the batch are: dropout, noise and masks are random, and other
    numbers are drawn for another shape.
    """
    with unchanged(subject.model):
        return subject.call(batch, statistics=train).outputs


def _check_padding(
    subject: Subject, alone: Mapping[int, Mapping[str, Tensor]], axes: Mapping[str, int]
) -> Iterator[Finding]:
    """In both modes: a batch norm takes statistics over the padding in training only.

    Some padding in these statistics is common and does little harm: it is named where the padding that batches have
    decides what the outputs are.
    """
    rows = subject.rows()
    share = _padded_share(subject)
    for train in (False, True) if rows.has_padded_axes and share else ():
        more = MORE if not train else max(1, round(share * rows.longest))
        if train and share < PADDED:
            continue
        plain, padded = (_outputs_from_now(subject, batch, train) for batch in (rows.batch, rows.pad(more)))
        allowed = LARGE if train else tolerance(plain)
        for name, tensor in plain.items():
            if not tensor.is_floating_point() or name not in padded:
                continue
            difference = max(largest_difference(*pair) for pair in _own_parts(padded[name], tensor, name, alone, axes))
            if difference > allowed:
                mode = "training" if train else "evaluation"
                yield Finding(
                    "padding-reaches-rows", "warning" if train else "error",
                    {"output": name, "mode": mode, "steps added": more, "share of padding": share,
                     "relative difference": difference},
                    f"with more padding, a batch gets other outputs in {mode} mode: the padding counts in "
                    f"{'statistics of a batch norm' if train else 'what the model computes'}",
                    "Leave padding out of statistics and attention, and set it to 0 before each convolution",
                    TRAINING_CODE if train else CODE,
                )  # fmt: skip
                return


def _padded_share(subject: Subject) -> float:
    """Of all batches that were scanned: the first one can have little padding by chance."""
    found = [rows.padded_share for rows in subject.rows_of_batches()]
    return sum(found) / len(found)


def _own_parts(
    one: Tensor, other: Tensor, name: str, alone: Mapping[int, Mapping[str, Tensor]], axes: Mapping[str, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The outputs of rows that were tried alone, without what comes after their end; all outputs without rows."""
    axis = axes.get(name)
    if axis is None or one.dim() != other.dim() or not alone:
        yield common_part(one, other)
        return
    for row, own in alone.items():
        pair = [x.narrow(axis, row, 1) for x in (one, other)]
        yield common_part(*(common_part(x, own[name])[0] for x in pair))
