"""The frames that a model says a row has are those that answer to its input, in the order of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seqloss.doctor.batches.ctc_rows import find_ctc_rows, input_lengths
from seqloss.doctor.findings import Finding
from seqloss.doctor.spans import Spans, find_spans
from seqloss.doctor.subject import NotChecked, Subject

LEFT_OUT = 0.1
"""Share of a row's frames that lengths may leave out: a last window that is not full."""

LEAST = 8
"""Frames from which on an order is judged."""

RISING, MIXED = 0.3, 0.9
"""Rank correlation of frames and the steps that they answer to: 1 in healthy models, and near 0 for mixed axes."""

CODE = """\
inputs.requires_grad_()
outputs, lengths = model(inputs[:1], input_lengths[:1])
print(lengths, outputs.shape)
for frame in outputs[0]:
    print(torch.autograd.grad(frame.sum(), inputs, retain_graph=True)[0].abs().sum(-1).argmax())
"""


def check(subject: Subject) -> Iterator[Finding]:
    rows = subject.rows()
    lengths = input_lengths(rows)
    if lengths is None:
        raise NotChecked("the batch has no padded input of floats")
    longest = sorted(range(rows.count), key=lambda row: -lengths[row])[:2]
    spans = [find_spans(subject, row) for row in longest]
    ctc = find_ctc_rows(subject, subject.batches[0])
    used = None if ctc is None else ctc.used[longest[0]]
    if spans[0].claimed is None and used is None:
        raise NotChecked("the model returns no lengths, and the loss was not recognised as a CTC loss")
    yield from _check_lengths(spans[0], used)
    if ctc is not None:  # other decoders need no order
        yield from _check_order(spans)


def _check_lengths(found: Spans, used: int | None) -> Iterator[Finding]:
    """Of the length that the model returns, or of the frames that a CTC loss uses."""
    claimed, whose = (
        (used, "that the loss uses") if found.claimed is None else (found.claimed, "that the model returns")
    )
    frames, peaks = found.frames, found.peaks[found.time]
    if claimed is None:
        return
    inside = [peak for t, peak in zip(found.tried, peaks, strict=True) if t < claimed]
    past = [peak for t, peak in zip(found.tried, peaks, strict=True) if t >= claimed and peak >= 0]
    unread = max(past, default=-1) - max(inside, default=-1)
    too_short = frames - claimed > LEFT_OUT * frames + 1 and unread > LEFT_OUT * found.steps + 1
    if claimed > frames or too_short:
        yield Finding(
            "lengths-wrong", "error",
            {"frames of a row": frames, f"length {whose}": claimed, "input steps": found.steps},
            "the model returns a length that is larger than its outputs" if claimed > frames else
            f"frames past the length {whose} answer to input that no frame before them reads: the length is too "
            "small, and the end of each row is lost",
            "Compute lengths as each layer does: (length + 2 * padding - kernel) // stride + 1, once", CODE,
        )  # fmt: skip


def _check_order(found: Sequence[Spans]) -> Iterator[Finding]:
    judged = [one for one in found if one.frames >= LEAST]
    if not judged:
        return
    rising = sum(_correlation(one, one.time) for one in judged) / len(judged)
    others = [axis for axis in judged[0].peaks if axis != judged[0].time]
    other = max((min(_correlation(one, axis) for one in judged) for axis in others), default=-1.0)
    mixed = other > MIXED and rising < other - RISING
    if rising >= RISING and not mixed:
        return
    evidence = {"rank correlation of frames and input steps": rising, "with another axis": other}
    if mixed:
        yield Finding(
            "axes-mixed", "error", evidence,
            "output frames follow another axis of the input than that of the lengths: height and width, or time and "
            "features, are exchanged",
            "Check permute and transpose before the recurrent layers", CODE,
        )  # fmt: skip
    else:
        yield Finding(
            "frames-not-in-order", "error", evidence,
            "output frames do not answer to the steps of the input in their order: a reshape mixes axes, or the time "
            "is reversed",
            "Use permute, not reshape, to exchange axes; turn reversed outputs back", CODE,
        )  # fmt: skip


def _correlation(found: Spans, axis: int) -> float:
    """Of Spearman; 1 if there is nothing to judge."""
    pairs = [(t, peak) for t, peak in zip(found.tried, found.peaks[axis], strict=True)
             if peak >= 0 and (found.claimed is None or t < found.claimed)]  # fmt: skip
    if len(pairs) < LEAST:
        return 1.0
    first, second = (_ranks(values) for values in zip(*pairs, strict=True))
    centre = (len(pairs) - 1) / 2
    products = sum((a - centre) * (b - centre) for a, b in zip(first, second, strict=True))
    squares = [sum((one - centre) ** 2 for one in ranks) for ranks in (first, second)]
    return products / (squares[0] * squares[1]) ** 0.5 if min(squares) > 0 else 0.0


def _ranks(values: Sequence[int]) -> list[float]:
    ordered = sorted(values)
    places: dict[int, list[int]] = {}
    for place, value in enumerate(ordered):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
