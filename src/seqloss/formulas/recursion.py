"""The sums over paths, forward and backward in one scan, and the posteriors that they give."""

from __future__ import annotations

from typing import NamedTuple

from seqloss.contract import MASKED
from seqloss.formulas.emissions import Frames, Text
from seqloss.formulas.namespace import Array, Namespace
from seqloss.formulas.wide import NOTHING, Wide, add, choose, exp, indicator, multiply

NOWHERE = -2
"""The main path's place in rows that have none."""


class MainPath(NamedTuple):
    """The path of each frame's best class, where it reads as the target.

    Attributes:
        spells: bool (batch,), whether it does.
        count: int32 (batch, time), labels begun by each frame: it stands on label count - 1, or on blank `count`.
        on_label: bool (batch, time).
    """

    spells: Array
    count: Array
    on_label: Array


class Sums(NamedTuple):
    """What the scan found.

    Attributes:
        certain: sum of log p(best), (batch,).
        rest: the sum over all paths, relative to the frames' best, without the main path; (batch,).
        spells: bool (batch,), whether there is a main path, of weight 1.
        labels: posteriors of the labels, (batch, time, labels), and
        blank: of the blank, (batch, time, 1): each frame up to a factor of its own.
    """

    certain: Array
    rest: Wide
    spells: Array
    labels: Array
    blank: Array


def main_path(xp: Namespace, best: Array, text: Text, blank: int) -> MainPath:
    """Read the best classes, int32 (batch, time, 1), as labels, and compare."""
    best = xp.where(text.used, best[:, :, 0], blank)
    before = xp.concat([0 * best[:, :1] + blank, best[:, :-1]], 1)
    on_label = best != blank
    begins = on_label & (best != before)
    count = xp.cumsum(xp.as_int(begins), 1)
    longest = xp.size(text.labels, 1)
    label = xp.take(text.labels[:, None, :], xp.minimum(xp.maximum(count - 1, 0), longest - 1))[:, 0, :]
    wrong = xp.sum(xp.as_int(begins & (label != best)), 1)[:, 0]
    return MainPath((wrong == 0) & (count[:, -1] == text.lengths), count, on_label)


def run(xp: Namespace, frames: Frames, text: Text, blank: int) -> Sums:
    """Scan forward and backward rows side by side."""
    main = main_path(xp, frames.best, text, blank)
    longest = xp.size(text.labels, 1)
    states, ends = xp.arange(longest)[None, :], xp.arange(longest + 1)[None, :]
    forward = xp.concat([text.lengths >= 0, text.lengths < 0], 0)[:, None]  # (2 batch, 1)
    start = xp.concat([0 * text.lengths, longest - text.lengths], 0)[:, None]
    apart = xp.concat([text.lengths < 0, main.spells], 0)[:, None]
    skip = xp.concat([may_skip(xp, text.labels), may_skip(xp, xp.flip(text.labels, 1))], 0)

    def step(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        labels, blanks, at, on, total, lost = carry
        label_p, blank_p, at_now, on_now, certain = x
        previous, below, ahead = neighbours(xp, labels, blanks, skip)
        rest_b = add(xp, blanks, previous)
        rest_a = add(xp, add(xp, below, ahead), labels)
        into_b = ends == at + xp.as_int(on)
        into_a = (states == at) | (skip & on & (states == at + 1))
        all_b = add(xp, rest_b, indicator(xp, into_b, rest_b.value))
        all_a = add(xp, rest_a, indicator(xp, into_a, rest_a.value))
        new_b = multiply(xp, choose(xp, (ends == at_now) & ~on_now, rest_b, all_b), blank_p)
        new_a = multiply(xp, choose(xp, (states == at_now) & on_now, rest_a, all_a), label_p)
        certain = certain - lost  # Kahan's sum
        larger = total + certain
        lost = (larger - total) - certain
        seen = (choose(xp, forward, new_a, all_a), choose(xp, forward, new_b, all_b))
        return (new_a, new_b, at_now, on_now, larger, lost), seen

    place = xp.where(main.spells[:, None], longest - main.count, NOWHERE)
    xs = (
        over_time(xp, label_emissions(xp, frames, text), flip_last=True),
        over_time(xp, blank_emissions(xp, frames, blank), flip_last=False),
        _both(xp, 0 * place + NOWHERE, xp.flip(place, 1)),
        _both(xp, main.on_label & ~main.on_label, xp.flip(main.on_label, 1)),
        _both(xp, frames.certain[:, :, 0], 0.0 * frames.certain[:, :, 0]),
    )
    one = xs[1].value[0]  # (2 batch, 1)
    nought = 0.0 * xs[0].value[0]
    carry = (
        Wide(nought, xp.as_int(nought) + NOTHING),
        indicator(xp, (ends == start) & ~apart, one),
        xp.where(apart, start, NOWHERE),
        apart & ~apart,
        0.0 * one,
        0.0 * one,
    )
    (labels, blanks, _, _, certain, _), seen = xp.scan(step, carry, xs)
    batch = xp.size(text.labels, 0)
    rest = add(
        xp,
        Wide(blanks.value[batch:, -1], blanks.exponent[batch:, -1]),
        Wide(labels.value[batch:, -1], labels.exponent[batch:, -1]),
    )
    total = add(xp, rest, indicator(xp, main.spells, rest.value))
    reference = xp.where(total.value > 0.0, total.exponent, 0)
    label_shares, blank_shares = (shares(xp, part, batch, reference) for part in seen)
    return Sums(certain[:batch, 0], rest, main.spells, label_shares, xp.sum(blank_shares, 2))


def neighbours(xp: Namespace, labels: Wide, blanks: Wide, skip: Array) -> tuple[Wide, Wide, Wide]:
    """From where a state is entered besides itself: blanks from the label before; labels from the blank below, and from
    the label before where they may skip."""
    previous = Wide(
        xp.concat([0.0 * labels.value[:, :1], labels.value], 1),
        xp.concat([0 * labels.exponent[:, :1] + NOTHING, labels.exponent], 1),
    )
    below = Wide(blanks.value[:, :-1], blanks.exponent[:, :-1])
    ahead = Wide(xp.where(skip, previous.value[:, :-1], 0.0), xp.where(skip, previous.exponent[:, :-1], NOTHING))
    return previous, below, ahead


def may_skip(xp: Namespace, labels: Array) -> Array:
    """Labels that may follow the one before without a blank between."""
    differs = labels[:, 1:] != labels[:, :-1]
    return xp.concat([labels[:, :1] != labels[:, :1], differs], 1)


def label_emissions(xp: Namespace, frames: Frames, text: Text) -> Wide:
    distances = xp.take(frames.distances, text.labels)
    return exp(xp, distances, (distances >= -MASKED) & text.used[:, :, None] & text.inside[:, None, :])


def blank_emissions(xp: Namespace, frames: Frames, blank: int) -> Wide:
    """1 in frames that are not in use, whose scores are all 0: a backward row waits there."""
    distances = frames.distances[:, :, blank : blank + 1]
    return exp(xp, distances, distances >= -MASKED)


def over_time(xp: Namespace, x: Wide, flip_last: bool) -> Wide:
    """`turned` for wide numbers."""
    return Wide(turned(xp, x.value, flip_last), turned(xp, x.exponent, flip_last))


def turned(xp: Namespace, x: Array, flip_last: bool) -> Array:
    """(batch, time, n) and its reverse, side by side: (time, 2 batch, n)."""
    back = xp.flip(x, 1)
    back = xp.flip(back, 2) if flip_last else back
    return xp.transpose(xp.concat([x, back], 0), (1, 0, 2))


def _both(xp: Namespace, forward: Array, backward: Array) -> Array:
    """Two (batch, time) as (time, 2 batch, 1)."""
    return xp.transpose(xp.concat([forward, backward], 0), (1, 0))[:, :, None]


def shares(xp: Namespace, seen: Wide, batch: int, reference: Array) -> Array:
    """Forward times backward sums, relative to a power of two of each row: (batch, time, n)."""
    back = Wide(*(xp.flip(xp.flip(part[:, batch:], 0), 2) for part in seen))
    exponent = seen.exponent[:, :batch] + back.exponent - reference[None, :, None]
    half = xp.minimum(xp.maximum(exponent, -8), 2) * 16
    shares = xp.scale(seen.value[:, :batch], half) * xp.scale(back.value, half)
    return xp.transpose(shares, (1, 0, 2))
