"""The numbers that the first layer gets are of the size that weights are initialised for, in training and held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from seqloss.doctor.batches.input_rows import find_input_rows
from seqloss.doctor.findings import Finding
from seqloss.doctor.first_layer import changed_first_layer, first_layer_input
from seqloss.doctor.laws.inputs import MASKED
from seqloss.doctor.model_outputs import combine
from seqloss.doctor.subject import NotChecked, Subject

BYTES, SOUND = 100.0, 1000.0
"""A largest whole number from here on is a pixel of 0 to 255, or a sample of 16 bits."""

DIFFERENT = 32
"""Different whole numbers of pixels and sounds; columns of a table have fewer."""

RAW = 10.0
"""Root of the mean square from here on: numbers in their own units, not in deviations."""

OFF_CENTRE = 30.0
"""Means over deviation; log-mel features have 2 or so, pixels of a white page 4 to 15."""

SAME_ANSWER = 2.0
"""Ratio of the answers of the outputs that a norm may have: 1 but for biases and the curves of activations."""

MOVED, ROWS = 3.0, 16
"""Means of the rows apart, in deviations of these means, where they are at least so many."""

SHIFTED, SCALED = 1.0, 3.0
"""Means of training and held-out inputs apart, in deviations; ratio of their deviations."""

CODE = """\
print(inputs.min(), inputs.max(), inputs.mean(), inputs.std())
"""


def check(subject: Subject) -> Iterator[Finding]:
    with torch.no_grad():
        given = first_layer_input(subject, subject.batches[0])
        if given is None or not given.numel():
            raise NotChecked("the first layer gets no floats")
        yield from _check_size(given.double(), lambda size: _is_normalised(subject, size))
        yield from _check_masks(subject, given)
    yield from _check_held_out(subject)


def _is_normalised(subject: Subject, size: float) -> bool:
    """Whether a norm follows: the outputs answer to relative changes as they do where the inputs are near 1.

    Without a norm they answer more, as the inputs are larger; layers that saturate hardly answer any more.
    """
    near = _answer(subject, 1 / size)
    return near / SAME_ANSWER < _answer(subject, 1.0) < near * SAME_ANSWER


def _answer(subject: Subject, factor: float) -> float:
    """By how much the outputs change for a relative change of each number that the first layer gets.

    Args:
        subject: with the model.
        factor: of all of these numbers.
    """
    shares: list[Tensor] = []

    def scale(x: Tensor) -> Tensor:
        shares.append(torch.full_like(x, factor).requires_grad_())
        return x.detach() * shares[-1]

    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False), changed_first_layer(subject.model, scale):
        outputs = subject.call(subject.batches[0], statistics=True).outputs.values()
        total = combine(x for x in outputs if x.is_floating_point())
    found = torch.autograd.grad(total, shares, allow_unused=True) if total.requires_grad else ()
    return factor * sum(float(one.abs().double().sum()) for one in found if one is not None)


def _check_size(x: Tensor, is_normalised: Callable[[float], bool]) -> Iterator[Finding]:
    x = x[x.isfinite()]
    used = x[x != 0]  # padding
    if len(used) < 2:
        return
    largest, deviation, whole = float(used.abs().max()), float(used.std()), _are_whole(used)
    mean = float(used.mean())
    evidence = {"smallest": float(x.min()), "largest": float(x.max()), "mean": mean, "deviation": deviation}
    pixels = whole and BYTES < largest <= 255 and float(x.min()) >= 0
    if pixels or (whole and largest > SOUND):
        what = "pixels of 0 to 255" if pixels else "whole numbers, such as samples of 16 bits"
        yield Finding(
            "inputs-not-scaled", "warning", evidence,
            f"the first layer gets {what}: its outputs are hundreds of times larger than its weights are made for",
            f"Divide by {255 if pixels else 32768}, or subtract the mean and divide by the deviation", CODE,
        )  # fmt: skip
    elif deviation > 0 and abs(mean) > OFF_CENTRE * deviation:
        yield Finding(
            "inputs-off-centre", "warning", evidence,
            "the mean of what the first layer gets is far larger than its deviation: all inputs look alike to it",
            "Subtract the mean and divide by the deviation of the training data", CODE,
        )  # fmt: skip
    elif (size := float(used.square().mean()) ** 0.5) > RAW:
        normalised = is_normalised(size)
        yield Finding(
            "inputs-not-scaled", "note" if normalised else "warning", evidence,
            "the first layer gets numbers that are far larger than 1"
            + (": the norm that follows makes up for it, but not for padding and masks of 0, which are far from them"
               if normalised else ", and no norm follows: its outputs are far larger than its weights are made for"),
            "Subtract the mean and divide by the deviation of the training data", CODE,
        )  # fmt: skip


def _are_whole(x: Tensor) -> bool:
    return bool((x == x.round()).all()) and len(x.unique()) >= DIFFERENT


def _check_masks(subject: Subject, plain: Tensor) -> Iterator[Finding]:
    """Masks that the model sets in training; dropout is off."""
    masked = first_layer_input(subject, subject.batches[0], train=True)
    if masked is None or masked.shape != plain.shape or masked.dim() < 2:
        return
    shares = [_share(one, other) for one, other in zip(masked, plain, strict=True)]
    found = sum(shares) / len(shares)
    if found > MASKED:
        yield Finding(
            "training-inputs-masked", "warning", {"share of the inputs masked": found, "in the worst row": max(shares)},
            "in training, most of what the first layer gets is set to one number: masks are wider than the rows are "
            "long",
            "Make masks a share of a row's own length, a fifth of it or less", CODE,
        )  # fmt: skip


def _share(masked: Tensor, plain: Tensor) -> float:
    """Share of the numbers that are in use and are replaced by one number, the commonest of those that changed."""
    changed = masked[masked != plain]
    used = int(((plain != 0) | (masked != plain)).sum())
    return int((changed == changed.mode().values).sum()) / used if len(changed) else 0.0


def _check_held_out(subject: Subject) -> Iterator[Finding]:
    if not subject.data.held_out:
        return
    (train, means), (held_out, other_means) = (
        _statistics(batches) for batches in (subject.data.batches, subject.data.held_out)
    )
    for name in train.keys() & held_out.keys():
        (mean, deviation), (other_mean, other_deviation) = train[name], held_out[name]
        scale = max(deviation, 1e-12)
        ratio = max(other_deviation, 1e-12) / scale
        if (
            abs(mean - other_mean) > SHIFTED * scale
            or not 1 / SCALED < ratio < SCALED
            or _are_moved(means[name], other_means.get(name, []))
        ):
            yield Finding(
                "held-out-scaled-otherwise", "warning",
                {"input": name, "mean": mean, "held out": other_mean,
                 "deviation": deviation, "deviation held out": other_deviation},
                "held-out inputs have another mean or deviation than those of the training: they are normalised by "
                "other statistics, or not at all",
                "Normalise both by the statistics of the training data", CODE,
            )  # fmt: skip


def _are_moved(means: Sequence[float], others: Sequence[float]) -> bool:
    """Whether rows of one kind have other means than those of the other kind."""
    if min(len(means), len(others)) < ROWS:
        return False
    one, other = torch.tensor(means), torch.tensor(others)
    spread = max(float(one.std()), float(other.std()), 1e-12)
    return abs(float(one.median() - other.median())) > MOVED * spread


def _statistics(batches: Sequence[object]) -> tuple[dict[str, tuple[float, float]], dict[str, list[float]]]:
    """Mean and deviation of each input, and the means of its rows."""
    sums: dict[str, list[float]] = {}
    means: dict[str, list[float]] = {}
    for batch in batches:
        for part in find_input_rows(batch):
            for row in part.rows:
                x, total = row.double(), sums.setdefault(part.name, [0.0, 0.0, 0.0])
                for n, number in enumerate((x.numel(), float(x.sum()), float(x.square().sum()))):
                    total[n] += number
                means.setdefault(part.name, []).append(float(x.mean()) if x.numel() else 0.0)
    found = {name: (total / count, max(0.0, squares / count - (total / count) ** 2) ** 0.5)
             for name, (count, total, squares) in sums.items() if count > 1}  # fmt: skip
    return found, means
