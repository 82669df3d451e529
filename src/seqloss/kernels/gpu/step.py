"""One frame of the recursion, in registers: labels a[l] and the blanks before them b[l], in two arrays.

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

`seqloss.formulas.recursion.step` says it in whole arrays. Both ways use it: a backward walk reads the row's frames and labels in
reverse, from its own last ones, so that every walk begins on its first blank, and ends on label count - 1 or blank count.
The only shifted operand is the label before, one gather of both of its words; in the first place of a block it
comes from the block before.

A backward walk of a row whose main path reads as the target sums all *other* paths; the main path's own weight, 1, enters where it
leaves that path, and is left out where it stays. In other walks there is nothing to add, and the block skips it.
"""

import triton
import triton.language as tl

from seqloss.kernels.gpu.wide import MASKED, NOTHING, add, exp, indicator, multiply, shifted

NOWHERE = tl.constexpr(-8)
"""The main path's state in walks that have none: none that a label or blank could have, or be entered from."""
CLOSED = tl.constexpr(float("-inf"))


@triton.jit
def emissions(distances, at, labels_inside, alive, last):
    """The scores of a frame's labels (rows, labels) and of its blank (rows, 1), which stands in the `last` place."""
    labels = tl.load(distances + at, mask=labels_inside & alive[:, None], other=CLOSED)
    return labels, tl.load(distances + last, mask=alive, other=CLOSED)[:, None]


@triton.jit
def previous_label(a, a_exponent, edge, edge_exponent, column):
    """a[l-1], from the block before in the first place."""
    packed = (a_exponent.to(tl.int64) << 32) | (a.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF)
    before = tl.gather(packed, tl.broadcast_to(tl.maximum(column - 1, 0), packed.shape), 1)
    value = before.to(tl.int32).to(tl.float32, bitcast=True)
    exponent = (before >> 32).to(tl.int32)
    return tl.where(column == 0, edge, value), tl.where(column == 0, edge_exponent, exponent)


@triton.jit
def entered(a, a_exponent, b, b_exponent, previous, previous_exponent, skip):
    """The sums that enter each label and each blank, before the frame's own scores; not normalised."""
    b_top = tl.maximum(b_exponent, previous_exponent)
    into_b = shifted(b, b_exponent, b_top) + shifted(previous, previous_exponent, b_top)
    ahead = tl.where(skip, previous, 0.0)
    ahead_exponent = tl.where(skip, previous_exponent, NOTHING)
    a_top = tl.maximum(tl.maximum(a_exponent, b_exponent), ahead_exponent)
    into_a = shifted(b, b_exponent, a_top) + shifted(ahead, ahead_exponent, a_top) + shifted(a, a_exponent, a_top)
    return into_a, a_top, into_b, b_top


@triton.jit
def leave_main(into_a, a_top, into_b, b_top, state, place, skip):
    """With what enters from the main path's `state`, (rows, 1)."""
    on_label = (state & 1) == 1
    stands = state >> 1
    from_b, from_b_exponent = indicator(place == stands + (state & 1))
    from_a, from_a_exponent = indicator((place == stands) | (skip & on_label & (place == stands + 1)))
    all_b, all_b_exponent = add(into_b, b_top, from_b, from_b_exponent)
    all_a, all_a_exponent = add(into_a, a_top, from_a, from_a_exponent)
    return all_a, all_a_exponent, all_b, all_b_exponent


@triton.jit
def choose(condition, x, x_exponent, y, y_exponent):
    """x where the condition holds, else y."""
    return tl.where(condition, x, y), tl.where(condition, x_exponent, y_exponent)


@triton.jit
def step(
    a, a_exponent, b, b_exponent, edge, edge_exponent, label_scores, blank_score, state, next_state, any_main, skip,
    place, column,
):  # fmt: skip
    """One frame on.

    Args:
        a, b: labels and the blanks before them, (rows, labels); edge: the label before the block, (rows, 1).
        label_scores, blank_score: distances, (rows, labels) and (rows, 1).
        state, next_state: the main path's, before the frame and in it, (rows, 1), or NOWHERE; any_main: whether any row
            has one.
        skip: labels that may follow the one before without a blank between.
        place: of each column in the target; column: in the block, (1, labels).

    Returns:
        a, b after the frame, and what entered them, without the frame's own scores.
    """
    previous, previous_exponent = previous_label(a, a_exponent, edge, edge_exponent, column)
    into_a, a_top, into_b, b_top = entered(a, a_exponent, b, b_exponent, previous, previous_exponent, skip)
    rest_a, rest_a_exponent, rest_b, rest_b_exponent = into_a, a_top, into_b, b_top
    if any_main:
        into_a, a_top, into_b, b_top = leave_main(into_a, a_top, into_b, b_top, state, place, skip)
        stays_a, stays_b = place * 2 + 1 == next_state, place * 2 == next_state
        rest_a, rest_a_exponent = choose(stays_a, rest_a, rest_a_exponent, into_a, a_top)
        rest_b, rest_b_exponent = choose(stays_b, rest_b, rest_b_exponent, into_b, b_top)
    p, p_exponent = exp(label_scores, label_scores >= -MASKED)
    q, q_exponent = exp(blank_score, blank_score >= -MASKED)
    a, a_exponent = multiply(rest_a, rest_a_exponent, p, p_exponent)
    b, b_exponent = multiply(rest_b, rest_b_exponent, q, q_exponent)
    return a, a_exponent, b, b_exponent, into_a, a_top, into_b, b_top
