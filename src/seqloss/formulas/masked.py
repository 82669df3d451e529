"""Losses of single steps of a padded batch: cross-entropy, squared and absolute error, and their weighting in time.

A loss of a step that is not real is exactly 0, and so is its gradient. Whatever stands there is replaced *before* the
arithmetic, not after it: 0 times NaN is NaN, and the derivative of a selection multiplies by 0.

Axes: batch, time, classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seqloss import contract
from seqloss.contract import Reduction, StepWeight
from seqloss.formulas.namespace import Array, Namespace


class Steps(NamedTuple):
    """Which steps are real.

    Attributes:
        real: bool (batch, time).
        valid: bool (batch, 1): the row's length lies on the axis. A row where it does not is NaN: all its steps are
            real, and wrong. This happens only where nobody could look at the lengths before.
    """

    real: Array
    valid: Array


def find_steps(xp: Namespace, x: Array, lengths: Array | None, mask: Array | None) -> Steps:
    """Find the real steps of an array (batch, time, ...) from int32 lengths (batch,) and a bool mask (batch, time)."""
    time = xp.size(x, 1)
    counts = xp.arange(xp.size(x, 0)) * 0 + time if lengths is None else lengths
    counts = counts[:, None]  # (batch, 1)
    real = xp.arange(time)[None, :] < counts
    if mask is not None:
        real = real & mask
    valid = (counts >= 0) & (counts <= time)
    return Steps(real | ~valid, valid)


def cross_entropy(
    xp: Namespace, logits: Array, targets: Array, steps: Steps, padding: int | None, smoothing: float
) -> tuple[Array, Steps]:
    """Minus the log-probability of each step's label, (batch, time), and the steps that are real.

    Args:
        logits: (batch, time, classes).
        targets: int32 (batch, time). A label of a real step that is no class makes the step NaN.
        padding: the label of steps that are not real.
        smoothing: the share of the label that is spread evenly over all classes.
    """
    if padding is not None:
        steps = steps._replace(real=steps.real & (targets != padding) | ~steps.valid)
    is_class = (targets >= 0) & (targets < xp.size(logits, 2))
    log_probs = xp.log_softmax(xp.without_padding(logits, steps.real), 2)
    losses = 0.0 - xp.pick(log_probs, xp.where(is_class & steps.real, targets, 0))
    if smoothing:
        classes = xp.size(logits, 2)
        mean = 0.0 - xp.sum(log_probs, 2)[:, :, 0] / _as_divisor(xp, classes, log_probs)
        losses = mean if smoothing == 1 else losses * (1.0 - smoothing) + mean * smoothing
    return _only_real(xp, losses, steps, steps.valid & (is_class | ~steps.real)), steps


def squared_error(
    xp: Namespace, predictions: Array, targets: Array, steps: Steps, padding: float | None
) -> tuple[Array, Steps]:
    """The squared difference of each step, averaged over its features, (batch, time), and the steps that are real.

    Args:
        predictions, targets: (batch, time, ...), floats of one type.
        padding: a step whose targets are all this number is not real.
    """
    difference, steps = _difference(xp, predictions, targets, steps, padding)
    return _only_real(xp, _feature_mean(xp, difference * difference), steps, steps.valid), steps


def absolute_error(
    xp: Namespace, predictions: Array, targets: Array, steps: Steps, padding: float | None
) -> tuple[Array, Steps]:
    """The absolute difference of each step; see `squared_error`. Its derivative at 0 is 0."""
    difference, steps = _difference(xp, predictions, targets, steps, padding)
    return _only_real(xp, _feature_mean(xp, xp.abs(difference)), steps, steps.valid), steps


def weigh_steps(xp: Namespace, per_step: Array, steps: Steps, weight: StepWeight) -> Array:
    """Multiply each real step's loss by the weight of the step; the others become 0."""
    losses = xp.where(steps.real, per_step, 0.0)
    return _only_real(xp, losses * step_weights(xp, losses, steps, weight), steps, steps.valid)


def step_weights(xp: Namespace, like: Array, steps: Steps, weight: StepWeight) -> Array:
    """The weight of each step, (batch, time) or a shape that broadcasts to it; any number where a step is not real.

    Step 1 is the first real step of a row. Every later position counts, real or not: time passes in a hole.

    Args:
        like: an array of the type of the weights.
    """
    time = xp.size(like, 1)
    if isinstance(time, int) and time == 0:  # torch has no maximum of none
        return like
    places = xp.arange(time)[None, :]
    first = -xp.max(xp.where(steps.real, -places, -time), 1)  # (batch, 1)
    last = xp.max(xp.where(steps.real, places, 0), 1)
    numbers = xp.as_float(xp.maximum(places - first + 1, 1), like)
    if weight == "sqrt":
        return xp.sqrt(numbers)
    if weight == "linear":
        return numbers
    if weight == "exponential":
        return xp.exp(xp.as_float(xp.minimum(places - last, 0), like))
    assert callable(weight)
    found = weight(numbers)
    contract.check_step_weights(tuple(getattr(found, "shape", ())), tuple(numbers.shape))
    return found


def reduce_steps(xp: Namespace, losses: Array, steps: Steps, reduction: Reduction, denominator: float | None) -> Array:
    """Losses (batch, time), as they are or as a scalar; see `seqloss.contract.step_divisor`."""
    if reduction == "none":
        return losses
    counts = xp.as_float(xp.sum(xp.as_int(steps.real), 1)[:, 0], losses)
    rows = xp.size(losses, 0)
    divisor = contract.step_divisor(
        reduction,
        counts,
        rows if isinstance(rows, int) else xp.as_float(rows, losses),
        denominator,
        maximum=lambda x, least: max(x, least) if isinstance(x, int) else xp.maximum(x, least),
        total=lambda x: xp.sum(x, 0)[0],
    )
    return xp.sum(xp.sum(losses, 1), 0)[0, 0] / divisor


def _difference(
    xp: Namespace, predictions: Array, targets: Array, steps: Steps, padding: float | None
) -> tuple[Array, Steps]:
    """Predictions minus targets, 0 where a step is not real."""
    axes = range(2, len(predictions.shape))
    if padding is not None:
        used = (targets == targets) if contract.is_nan(padding) else (targets != padding)
        some = xp.as_int(used)
        for axis in reversed(axes):
            some = xp.sum(some, axis)[..., 0]
        steps = steps._replace(real=steps.real & (some > 0) | ~steps.valid)
    entries = steps.real
    for _ in axes:
        entries = entries[..., None]
    # a difference has no derivative that multiplies by a value: selecting after it keeps NaN of the padding out as well
    return xp.where(entries, predictions - targets, 0.0), steps


def _feature_mean(xp: Namespace, entries: Array) -> Array:
    """The mean over all axes after batch and time."""
    for axis in reversed(range(2, len(entries.shape))):
        size = xp.size(entries, axis)
        entries = xp.sum(entries, axis)[..., 0] / _as_divisor(xp, size, entries)
    return entries


def _as_divisor(xp: Namespace, size: Any, like: Array) -> Any:
    """A size, at least 1, as a divisor."""
    return max(size, 1) if isinstance(size, int) else xp.as_float(xp.maximum(size, 1), like)


def _only_real(xp: Namespace, losses: Array, steps: Steps, good: Array) -> Array:
    """Losses of real steps, NaN with a NaN gradient where they are not good; 0 for other steps."""
    factor = xp.where(good, xp.as_float(xp.as_int(good), losses), float("nan"))
    return xp.where(steps.real, losses * factor, 0.0)
