"""The second derivative of CTC: the product of the Hessian of the loss and a direction.

Second derivatives have both signs; extended-exponent numbers are positive. So the tangents of the *logarithms* of the
sums are computed beside the sums. The tangent of the logarithm of a sum is the mean of the tangents of its terms,
weighted by the share of each term. A share is in [0, 1], and is exact to a few roundings for any size of the sum:

    d log(x + y) = x / (x + y) d log x + y / (x + y) d log y,        d log(x p) = d log x + d log p

With d log P the tangent of the total, the tangent of a posterior γ is γ (d log alpha + d log beta - d log P). The
tangent of the softmax y is y (dx - sum y dx).
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Literal, TypeAlias

from seqloss.formulas.ctc import recursion
from seqloss.formulas.ctc.emissions import Frames, PreparedTargets, prepare_targets, read_frames
from seqloss.formulas.extended_exponent import NOTHING, Extended, add, choose, indicator, multiply, shifted
from seqloss.formulas.namespace import Array, Namespace

Gradient: TypeAlias = Literal["softmax", "posterior", "exp"]
"""The gradient that is differentiated: softmax(logits) - posterior, -posterior, or exp(logits) - posterior."""

NAN = float("nan")


def hessian_vector_product(
    xp: Namespace,
    logits: Array,
    targets: Array,
    logit_lengths: Array,
    target_lengths: Array,
    direction: Array,
    *,
    blank: int,
    normalize: bool,
    gradient: Gradient,
) -> Array:
    """Return the derivative of each row's gradient in a direction, (batch, time, classes).

    The matrix is symmetric: this is also the product of a direction and the Hessian.

    Args:
        xp: the framework's operations.
        logits: float32 or float64 (batch, time, classes); at least one frame and one class.
        targets: int32 (batch, labels), at least one wide; logit_lengths, target_lengths: int32 (batch,).
        direction: like the logits. Frames past a row's length and rows without a path do not contribute.
        blank: from 0.
        normalize: as in the contract.
        gradient: the gradient that is differentiated. "softmax" needs `normalize`.

    Returns:
        The product; 0 in rows without a path and past a row's length; NaN in the other frames of a row that is
        non-finite or breaks the contract.
    """
    prepared = prepare_targets(xp, logits, targets, logit_lengths, target_lengths, blank)
    frames = read_frames(xp, logits, prepared, blank, normalize)
    used = prepared.used[:, :, None]
    direction = xp.where(used, direction, 0.0)
    change, total = _posterior_change(xp, frames, prepared, direction, blank)
    result = -change
    if gradient == "softmax":
        probability = xp.exp(frames.distances) / (1.0 + frames.others)
        result = result + probability * (direction - xp.sum(probability * direction, 2))
    elif gradient == "exp":
        result = result + xp.exp(xp.where(used, logits, 0.0)) * direction
    broken = frames.non_finite | prepared.refused
    result = xp.where(used & (total.value > 0.0)[:, None, None], result, 0.0)
    # A factor, not a choice: the product stays linear in the direction, so that its transpose is NaN there too.
    return result * xp.where(used & broken[:, None, None], NAN, 1.0)


def _posterior_change(
    xp: Namespace, frames: Frames, prepared: PreparedTargets, direction: Array, blank: int
) -> tuple[Array, Extended]:
    """Return the tangent of the posteriors, (batch, time, classes), and the sum over all paths, (batch,)."""
    batch = xp.size(prepared.labels, 0)
    classes = xp.size(frames.distances, 2)
    forward = xp.concat([prepared.lengths >= 0, prepared.lengths < 0], 0)[:, None]
    skip = xp.concat([recursion.may_skip(xp, prepared.labels), recursion.may_skip(xp, xp.flip(prepared.labels, 1))], 0)

    def step(carry: tuple, x: tuple) -> tuple[tuple, tuple]:
        labels, blanks, d_labels, d_blanks = carry
        label_p, blank_p, d_label_p, d_blank_p = x
        previous, below, ahead = recursion.neighbours(xp, labels, blanks, skip)
        d_previous = xp.concat([0.0 * d_labels[:, :1], d_labels], 1)
        sum_b, mean_b = _mix(xp, (blanks, d_blanks), (previous, d_previous))
        sum_a, mean_a = _mix(xp, (below, d_blanks[:, :-1]), (ahead, d_previous[:, :-1]), (labels, d_labels))
        new_b, new_a = multiply(xp, sum_b, blank_p), multiply(xp, sum_a, label_p)
        new_db, new_da = mean_b + d_blank_p, mean_a + d_label_p
        seen = (
            choose(xp, forward, new_a, sum_a), choose(xp, forward, new_b, sum_b),
            xp.where(forward, new_da, mean_a), xp.where(forward, new_db, mean_b),
        )  # fmt: skip
        return (new_a, new_b, new_da, new_db), seen

    xs = (
        recursion.over_time(xp, recursion.label_emissions(xp, frames, prepared), flip_last=True),
        recursion.over_time(xp, recursion.blank_emissions(xp, frames, blank), flip_last=False),
        recursion.turned(xp, xp.take(direction, prepared.labels), flip_last=True),
        recursion.turned(xp, direction[:, :, blank : blank + 1], flip_last=False),
    )
    (labels, blanks, _, _), (seen_a, seen_b, d_a, d_b) = xp.scan(step, _start(xp, prepared, xs[0].value[0]), xs)
    total = add(
        xp,
        Extended(blanks.value[batch:, -1], blanks.exponent[batch:, -1]),
        Extended(labels.value[batch:, -1], labels.exponent[batch:, -1]),
    )
    reference = xp.where(total.value > 0.0, total.exponent, 0)
    share_a, share_b = (recursion.shares(xp, seen, batch, reference) for seen in (seen_a, seen_b))
    d_a, d_b = (_both_ways(xp, part, batch) for part in (d_a, d_b))
    whole = xp.sum(share_a, 2) + xp.sum(share_b, 2)
    some = whole > 0.0
    scale = xp.where(some, 1.0 / xp.where(some, whole, 1.0), 0.0)
    share_a, share_b = share_a * scale, share_b * scale
    mean = xp.sum(share_a * d_a, 2) + xp.sum(share_b * d_b, 2)
    change = xp.sum_by_class(share_a * (d_a - mean), prepared.labels, classes)
    at_blank = (xp.arange(classes) == blank)[None, None, :]
    return change + xp.where(at_blank, xp.sum(share_b * (d_b - mean), 2), 0.0), total


def _start(xp: Namespace, prepared: PreparedTargets, like: Array) -> tuple[Extended, Extended, Array, Array]:
    """Before the first frame: all paths are on the first blank. A backward row starts behind its last label."""
    longest = xp.size(prepared.labels, 1)
    first = xp.concat([0 * prepared.lengths, longest - prepared.lengths], 0)[:, None]
    nought = 0.0 * like  # (2 batch, labels)
    begin = indicator(xp, xp.arange(longest + 1)[None, :] == first, nought)
    return Extended(nought, xp.as_int(nought) + NOTHING), begin, nought, 0.0 * begin.value


def _mix(xp: Namespace, *terms: tuple[Extended, Array]) -> tuple[Extended, Array]:
    """Return the sum of extended-exponent numbers, and the mean of their tangents, weighted by their shares."""
    total = terms[0][0]
    for term, _ in terms[1:]:
        total = add(xp, total, term)
    some = total.value > 0.0
    scale = xp.where(some, 1.0 / xp.where(some, total.value, 1.0), 0.0)
    parts = [shifted(xp, term, total.exponent) * scale * change for term, change in terms]
    return total, reduce(operator.add, parts)


def _both_ways(xp: Namespace, x: Array, batch: int) -> Array:
    """Add the values of the forward and the backward rows: (time, 2 batch, n) to (batch, time, n)."""
    return xp.transpose(x[:, :batch] + xp.flip(xp.flip(x[:, batch:], 0), 2), (1, 0, 2))
