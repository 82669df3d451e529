"""The sums over paths, forward and backward in one scan, and the posteriors that they give."""

from __future__ import annotations

from typing import NamedTuple

from seqloss.contract import MASKED
from seqloss.formulas.ctc.emissions import Frames, PreparedTargets
from seqloss.formulas.extended_exponent import NOTHING, Extended, add, choose, exp, indicator, multiply
from seqloss.formulas.namespace import Array, Namespace

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
    rest: Extended
    spells: Array
    labels: Array
    blank: Array


def main_path(xp: Namespace, best: Array, prepared: PreparedTargets, blank: int) -> MainPath:
    """Read the best classes, int32 (batch, time, 1), as labels, and compare."""
    best = xp.where(prepared.used, best[:, :, 0], blank)
    before = xp.concat([0 * best[:, :1] + blank, best[:, :-1]], 1)
    on_label = best != blank
    begins = on_label & (best != before)
    count = xp.cumsum(xp.as_int(begins), 1)
    longest = xp.size(prepared.labels, 1)
    label = xp.take(prepared.labels[:, None, :], xp.minimum(xp.maximum(count - 1, 0), longest - 1))[:, 0, :]
    wrong = xp.sum(xp.as_int(begins & (label != best)), 1)[:, 0]
    return MainPath((wrong == 0) & (count[:, -1] == prepared.lengths), count, on_label)


class Column(NamedTuple):
    """A frame of the forward rows, and one of the backward rows below it: (2 batch, n).

    Attributes:
        labels: what the labels give, relative to the frame's best class; n = labels.
        blank: what the blank gives; n = 1.
        at: the main path's place among the labels or among the blanks, NOWHERE in rows without one; n = 1.
        on_label: bool, whether that is a label.
        certain: log p(best), 0 in backward rows.
    """

    labels: Extended
    blank: Extended
    at: Array
    on_label: Array
    certain: Array


class Walk(NamedTuple):
    """What goes from frame to frame: the sums over all paths but the main one, and where that one stands.

    Attributes:
        labels, blanks: sums of the paths that stand there; n = labels and labels + 1.
        at, on_label: as in `Column`.
        certain: the sum so far, and
        lost: what its last addition rounded away.
    """

    labels: Extended
    blanks: Extended
    at: Array
    on_label: Array
    certain: Array
    lost: Array


class Places(NamedTuple):
    """What holds in every frame.

    Attributes:
        states, ends: the places of labels and of blanks, (1, n).
        skip: bool (2 batch, labels), labels that may follow the one before without a blank between.
        forward: bool (2 batch, 1), forward rows.
    """

    states: Array
    ends: Array
    skip: Array
    forward: Array


def run(xp: Namespace, frames: Frames, prepared: PreparedTargets, blank: int) -> Sums:
    """Scan forward and backward rows side by side."""
    main = main_path(xp, frames.best, prepared, blank)
    columns, places = both_ways(xp, frames, prepared, main, blank), places_of(xp, prepared)
    walk, seen = xp.scan(
        lambda walk, column: step(xp, places, walk, column), start(xp, prepared, main, places, columns), columns
    )
    batch = xp.size(prepared.labels, 0)
    rest = add(  # at the end of the backward rows: the first blank and the first label
        xp,
        Extended(walk.blanks.value[batch:, -1], walk.blanks.exponent[batch:, -1]),
        Extended(walk.labels.value[batch:, -1], walk.labels.exponent[batch:, -1]),
    )
    total = add(xp, rest, indicator(xp, main.spells, rest.value))
    reference = xp.where(total.value > 0.0, total.exponent, 0)
    label_shares, blank_shares = (shares(xp, part, batch, reference) for part in seen)
    return Sums(walk.certain[:batch, 0], rest, main.spells, label_shares, xp.sum(blank_shares, 2))


def both_ways(xp: Namespace, frames: Frames, prepared: PreparedTargets, main: MainPath, blank: int) -> Column:
    """Every frame's column, (time, 2 batch, n)."""
    place = xp.where(main.spells[:, None], xp.size(prepared.labels, 1) - main.count, NOWHERE)
    return Column(
        labels=over_time(xp, label_emissions(xp, frames, prepared), flip_last=True),
        blank=over_time(xp, blank_emissions(xp, frames, blank), flip_last=False),
        at=_both(xp, 0 * place + NOWHERE, xp.flip(place, 1)),
        on_label=_both(xp, main.on_label & ~main.on_label, xp.flip(main.on_label, 1)),
        certain=_both(xp, frames.certain[:, :, 0], 0.0 * frames.certain[:, :, 0]),
    )


def places_of(xp: Namespace, prepared: PreparedTargets) -> Places:
    longest = xp.size(prepared.labels, 1)
    return Places(
        states=xp.arange(longest)[None, :],
        ends=xp.arange(longest + 1)[None, :],
        skip=xp.concat([may_skip(xp, prepared.labels), may_skip(xp, xp.flip(prepared.labels, 1))], 0),
        forward=xp.concat([prepared.lengths >= 0, prepared.lengths < 0], 0)[:, None],
    )


def start(xp: Namespace, prepared: PreparedTargets, main: MainPath, places: Places, columns: Column) -> Walk:
    """Before the first frame: on the first blank, and for backward rows on the last, which may be the main path's."""
    longest = xp.size(prepared.labels, 1)
    first = xp.concat([0 * prepared.lengths, longest - prepared.lengths], 0)[:, None]
    apart = xp.concat([prepared.lengths < 0, main.spells], 0)[:, None]
    one, nought = columns.blank.value[0], 0.0 * columns.labels.value[0]
    return Walk(
        labels=Extended(nought, xp.as_int(nought) + NOTHING),
        blanks=indicator(xp, (places.ends == first) & ~apart, one),
        at=xp.where(apart, first, NOWHERE),
        on_label=apart & ~apart,
        certain=0.0 * one,
        lost=0.0 * one,
    )


def step(xp: Namespace, places: Places, walk: Walk, column: Column) -> tuple[Walk, tuple[Extended, Extended]]:
    """One frame on: the walk after it, and the sums to keep, forward with the frame's own scores, backward without."""
    previous, below, ahead = neighbours(xp, walk.labels, walk.blanks, places.skip)
    rest_b = add(xp, walk.blanks, previous)
    rest_a = add(xp, add(xp, below, ahead), walk.labels)
    into_b = places.ends == walk.at + xp.as_int(walk.on_label)
    into_a = (places.states == walk.at) | (places.skip & walk.on_label & (places.states == walk.at + 1))
    all_b = add(xp, rest_b, indicator(xp, into_b, rest_b.value))
    all_a = add(xp, rest_a, indicator(xp, into_a, rest_a.value))
    main_b = (places.ends == column.at) & ~column.on_label
    main_a = (places.states == column.at) & column.on_label
    new_b = multiply(xp, choose(xp, main_b, rest_b, all_b), column.blank)
    new_a = multiply(xp, choose(xp, main_a, rest_a, all_a), column.labels)
    certain = column.certain - walk.lost  # Kahan's sum
    larger = walk.certain + certain
    seen = (choose(xp, places.forward, new_a, all_a), choose(xp, places.forward, new_b, all_b))
    lost = (larger - walk.certain) - certain
    return Walk(new_a, new_b, column.at, column.on_label, larger, lost), seen


def neighbours(xp: Namespace, labels: Extended, blanks: Extended, skip: Array) -> tuple[Extended, Extended, Extended]:
    """From where a state is entered besides itself: blanks from the label before; labels from the blank below, and from
    the label before where they may skip."""
    previous = Extended(
        xp.concat([0.0 * labels.value[:, :1], labels.value], 1),
        xp.concat([0 * labels.exponent[:, :1] + NOTHING, labels.exponent], 1),
    )
    below = Extended(blanks.value[:, :-1], blanks.exponent[:, :-1])
    ahead = Extended(xp.where(skip, previous.value[:, :-1], 0.0), xp.where(skip, previous.exponent[:, :-1], NOTHING))
    return previous, below, ahead


def may_skip(xp: Namespace, labels: Array) -> Array:
    """Labels that may follow the one before without a blank between."""
    differs = labels[:, 1:] != labels[:, :-1]
    return xp.concat([labels[:, :1] != labels[:, :1], differs], 1)


def label_emissions(xp: Namespace, frames: Frames, prepared: PreparedTargets) -> Extended:
    distances = xp.take(frames.distances, prepared.labels)
    return exp(xp, distances, (distances >= -MASKED) & prepared.used[:, :, None] & prepared.inside[:, None, :])


def blank_emissions(xp: Namespace, frames: Frames, blank: int) -> Extended:
    """1 in frames that are not in use, whose scores are all 0: a backward row waits there."""
    distances = frames.distances[:, :, blank : blank + 1]
    return exp(xp, distances, distances >= -MASKED)


def over_time(xp: Namespace, x: Extended, flip_last: bool) -> Extended:
    """`turned` for extended-exponent numbers."""
    return Extended(turned(xp, x.value, flip_last), turned(xp, x.exponent, flip_last))


def turned(xp: Namespace, x: Array, flip_last: bool) -> Array:
    """(batch, time, n) and its reverse, side by side: (time, 2 batch, n)."""
    back = xp.flip(x, 1)
    back = xp.flip(back, 2) if flip_last else back
    return xp.transpose(xp.concat([x, back], 0), (1, 0, 2))


def _both(xp: Namespace, forward: Array, backward: Array) -> Array:
    """Two (batch, time) as (time, 2 batch, 1)."""
    return xp.transpose(xp.concat([forward, backward], 0), (1, 0))[:, :, None]


def shares(xp: Namespace, seen: Extended, batch: int, reference: Array) -> Array:
    """Forward times backward sums, relative to a power of two of each row: (batch, time, n)."""
    back = Extended(*(xp.flip(xp.flip(part[:, batch:], 0), 2) for part in seen))
    exponent = seen.exponent[:, :batch] + back.exponent - reference[None, :, None]
    half = xp.minimum(xp.maximum(exponent, -8), 2) * 16
    shares = xp.scale(seen.value[:, :batch], half) * xp.scale(back.value, half)
    return xp.transpose(shares, (1, 0, 2))
