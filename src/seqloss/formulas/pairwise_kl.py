"""The pairwise KL loss with a hinge, of all pairs of a batch at once.

    KL(p_i || p_j) = sum_c p_ic log p_ic - sum_c p_ic log p_jc

The first sum is one number per row, the second a product of two matrices: nothing has the size batch x batch x classes.
A probability of exactly 0 has no logarithm. Two rules make it exact:

* 0 log 0 = 0, so that a class without probability in p_i adds nothing;
* KL(p_i || p_j) is infinite if p_i has a class that p_j has not. A product of 0/1 matrices counts such classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seqloss.formulas.namespace import Array, Namespace


class Distributions(NamedTuple):
    """The rows of a batch, each (batch, classes); where a class is impossible, both numbers are 0."""

    probabilities: Array
    logarithms: Array
    impossible: Array


def of_logits(xp: Namespace, logits: Array) -> Distributions:
    """A row with NaN, +inf or only -inf becomes NaN."""
    logarithms = xp.log_softmax(logits, 1)
    impossible = logarithms == -float("inf")
    return Distributions(xp.exp(logarithms), xp.where(impossible, 0.0, logarithms), impossible)


def of_probabilities(xp: Namespace, probabilities: Array) -> Distributions:
    """The entries that are 0 are constants: the derivative of p log p is infinite there.

    Their gradient is 0. That is what reaches the scores before a softmax anyway, because p times this derivative tends
    to 0.
    """
    impossible = probabilities == 0.0
    kept = xp.where(impossible, xp.stop_gradient(probabilities), probabilities)
    return Distributions(kept, xp.log(xp.where(impossible, 1.0, kept)), impossible)


def poison_bad_rows(xp: Namespace, probabilities: Array, slack: float) -> Array:
    """Rows that are no probabilities become NaN: the answer where nobody can wait for an error."""
    total = xp.sum(probabilities, 1)
    negative = xp.sum(xp.as_float(probabilities < 0.0, probabilities), 1) > 0.5
    wrong = negative | (total > 1.0 + slack) | (total < 1.0 - slack)
    return xp.where(wrong, float("nan"), probabilities)


def divergences(xp: Namespace, rows: Distributions) -> tuple[Array, Array]:
    """KL(p_i || p_j) where it is finite, and where it is infinite; both (batch, batch)."""
    own = xp.sum(rows.probabilities * rows.logarithms, 1)
    kl = own - xp.matmul(rows.probabilities, xp.transpose(rows.logarithms, (1, 0)))
    impossible = xp.as_float(rows.impossible, kl)
    infinite = xp.matmul(1.0 - impossible, xp.transpose(impossible, (1, 0))) > 0.5
    return xp.where(infinite, 0.0, kl), infinite


def never_negative(xp: Namespace, kl: Array) -> Array:
    """KL that rounding has made negative becomes 0, with its gradient unchanged."""
    return kl + xp.stop_gradient(xp.maximum(kl, 0.0) - kl)


def directed_losses(
    xp: Namespace, kl: Array, infinite: Array, labels: Array, margin: float, *, soft: bool
) -> tuple[Array, Array]:
    """The loss of each direction of each pair, (batch, batch), 0 on the diagonal; and the number of pairs, (1, 1)."""
    same = labels[:, None] == labels[None, :]
    position = xp.arange(xp.size(labels, 0))
    pairs = position[:, None] != position[None, :]
    below = margin - kl
    hinge = xp.softplus(below) if soft else xp.where(below <= 0.0, 0.0, below)  # NaN stays
    losses = xp.where(same, xp.where(infinite, float("inf"), kl), xp.where(infinite, 0.0, hinge))
    count = xp.sum(xp.sum(xp.as_float(pairs, kl), 1), 0) * 0.5
    return xp.where(pairs, losses, 0.0), count


def pair_losses(
    xp: Namespace, embeddings: Array, labels: Array, margin: float, divisor: Any, *, from_logits: bool, soft: bool
) -> tuple[Array, Array]:
    """`directed_losses` of logits or probabilities (batch, classes); KL is divided by a number."""
    rows = of_logits(xp, embeddings) if from_logits else of_probabilities(xp, embeddings)
    kl, infinite = divergences(xp, rows)
    kl = never_negative(xp, kl) if from_logits else kl
    return directed_losses(xp, kl / divisor, infinite, labels, margin, soft=soft)
