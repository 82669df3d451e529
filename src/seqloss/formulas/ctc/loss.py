"""CTC's loss and gradient in whole arrays: one sweep over time, forward and backward sums side by side.

The target l_1..l_L is read through label states a[l] and blank states b[l], l = 0..L (b[L] ends it):

    b'[l] = (b[l] + a[l-1]) * p(blank)
    a'[l] = (a[l] + b[l] + a[l-1] where l differs from its predecessor) * p(l)

Backward sums obey the same recursion with time and labels reversed, so both are rows of one array: `batch` rows run
forward, `batch` more run backward. A backward row enters late, at its own last frame: until then every label is closed
and the blank is free, which leaves its start where it is. The product of a forward sum, its frame's emission included,
and a backward sum, its frame's emission left out, is the posterior; the gradient is softmax - posterior.

Small losses. Emissions are relative to their frame's largest score, so the path of the largest scores has weight 1. If
it reads as the target, a backward row sums all *other* paths (`rest`), to their own relative precision, and the loss is
sum log1p(others) - log1p(rest): no digit of a sure model's loss is lost beside the 1.

Everything is relative to float32's own precision where the scores are float32: unlike the CPU kernels, no step is taken
in float64.
"""

from __future__ import annotations

from seqloss.contract import SMALLEST
from seqloss.formulas.ctc.emissions import Frames, PreparedTargets, has_frame_above_one, prepare_targets, read_frames
from seqloss.formulas.ctc.recursion import Sums, run
from seqloss.formulas.extended_exponent import add, indicator, log
from seqloss.formulas.namespace import Array, Namespace

INF, NAN = float("inf"), float("nan")


def loss_and_grad(
    xp: Namespace,
    logits: Array,
    targets: Array,
    logit_lengths: Array,
    target_lengths: Array,
    *,
    blank: int,
    normalize: bool,
    softmax: bool | None = None,
    rounding: float | None = None,
) -> tuple[Array, Array]:
    """Loss of each row, and its gradient.

    Args:
        xp: the framework's operations.
        logits: float32 or float64 (batch, time, classes); at least one frame and one class.
        targets: int32 (batch, labels), at least one wide; logit_lengths, target_lengths: int32 (batch,).
        blank: from 0.
        normalize: as in the contract.
        softmax: whether the gradient is the softmax less the posterior, or minus the posterior; None for
            `normalize`, the only case for True.
        rounding: a number answers rows of which a frame adds up to more than 1.001 with NaN, and is the slack for
            scores rounded to a half type, see `seqloss.contract.check_normalized`; None leaves them be.

    Returns:
        losses (batch,), inf where no path fits, NaN for a row that is non-finite or breaks the contract; gradients as
        logits, 0 where no path fits and past a row's length.
    """
    prepared = prepare_targets(xp, logits, targets, logit_lengths, target_lengths, blank)
    frames = read_frames(xp, logits, prepared, blank, normalize)
    sums = run(xp, frames, prepared, blank)
    loss = -(sums.certain + _log_total(xp, sums)) + 0.0
    if normalize:
        loss = xp.where(loss >= SMALLEST, loss, 0.0)
    broken = frames.non_finite | prepared.refused  # (batch,)
    if rounding is not None:
        broken = broken | has_frame_above_one(xp, logits, prepared, rounding)
    gradient = _gradient(xp, frames, prepared, sums, blank, normalize if softmax is None else softmax)
    gradient = xp.where((prepared.used & (loss < INF)[:, None])[:, :, None], gradient, 0.0)
    gradient = xp.where((prepared.used & broken[:, None])[:, :, None], NAN, gradient)
    return xp.where(broken, NAN, loss), gradient


def _log_total(xp: Namespace, sums: Sums) -> Array:
    """ln of the sum over all paths, from its digits near 1 where the main path reads as the target; (batch,)."""
    rest = sums.rest
    half = xp.minimum(xp.maximum(rest.exponent, -7), 2) * 16
    near = xp.log1p(xp.scale(xp.scale(rest.value, half), half))
    far = log(xp, add(xp, rest, indicator(xp, sums.spells, rest.value)))
    return xp.where(sums.spells & (rest.exponent <= 2), near, far)


def _gradient(xp: Namespace, frames: Frames, prepared: PreparedTargets, sums: Sums, blank: int, softmax: bool) -> Array:
    """softmax - posterior, or 0 - posterior; between the complements where the posterior is the larger part of 1."""
    classes = xp.size(frames.distances, 2)
    number = xp.arange(classes)[None, None, :]
    posterior = xp.sum_by_class(sums.labels, prepared.labels, classes)
    posterior = posterior + xp.where(number == blank, sums.blank, 0.0)  # (batch, time, classes)
    best = number == xp.argmax(posterior, 2)
    most = xp.max(posterior, 2)
    rest = xp.sum(xp.where(best, 0.0, posterior), 2)
    total = rest + most
    if softmax:
        probability = xp.exp(frames.distances) / (1.0 + frames.others)
        probability = xp.where(probability < SMALLEST, 0.0, probability)
        other = xp.where(probability > 0.5, frames.others / (1.0 + frames.others), 1.0 - probability)
        gradient = probability - posterior / total
        gradient = xp.where(best & (rest < most), rest / total - other, gradient)
    else:
        gradient = 0.0 - posterior / total
    return xp.where((gradient < SMALLEST) & (gradient > -SMALLEST), 0.0, gradient)
