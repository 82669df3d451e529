"""Cross-entropy over the real steps of a padded batch, under JAX's transformations."""

from __future__ import annotations

import jax

from seqloss import contract
from seqloss.contract import Reduction
from seqloss.formulas import masked
from seqloss.jax.arrays import FloatArray, IntegerArray
from seqloss.jax.losses.floats import read_floats
from seqloss.jax.losses.steps import Mask, place_integers, place_steps, seen
from seqloss.jax.namespace import XP


def masked_cross_entropy(
    logits: FloatArray,
    targets: IntegerArray,
    lengths: IntegerArray | None = None,
    *,
    mask: Mask | None = None,
    padding: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: float | None = None,
) -> jax.Array:
    """Compute the cross-entropy of each step of padded sequences: train a tagger, a language model or a decoder.

        loss[n, t] = -sum_c q_c log p_c,        p = softmax(logits[n, t])
        q_c = (1 - label_smoothing) [c = targets[n, t]] + label_smoothing / classes

    A step is real if it lies within its row's length, its mask is not 0, and its target is not the padding; an argument
    that is not given excludes no step. Steps that are not real have loss 0 and gradient exactly 0, they get no weight
    by label smoothing, and nothing that stands there is used, not even NaN. It works under jit, grad, vmap, hessian,
    checkpoint, scan and shard_map.

    Traced values, and values on an accelerator, are not checked. A step with an invalid label, and a row with an
    invalid length, then have loss and gradient NaN.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64.
        targets: the label of each step, integers, shape (batch, time).
        lengths: number of steps in use of each row, integers, shape (batch,); None for all steps.
        mask: True or 1 for real steps, shape (batch, time), booleans or integers, holes allowed; None for all steps.
        padding: label that pads `targets`, any integer of 32 bits, also one that is no class; None for no padding.
        label_smoothing: share of the label, from 0 to 1, that is spread evenly over all classes.
        reduction: "none" returns one loss per step, "sum" their sum; "mean" and "labels" divide the sum by the number
            of real steps of the batch (at least 1), "batch" by the batch size.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of real steps
            over all gradient accumulation steps and devices to get the gradient of one large batch.

    Returns:
        The loss in nats, shape (batch, time), or a scalar after a reduction; float32, or float64 for float64 logits. A
        NaN or +inf in a real step, or only -inf, makes the loss of this step NaN. Without any real step every reduction
        is 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: the label of a real step is not a class.
        LengthError: a length is negative or larger than the time axis.
        OptionError: `reduction` is unknown, `denominator` is not positive or is given without reduction="sum", or
            `padding` or `label_smoothing` is no such number.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import masked_cross_entropy
        >>> targets = jnp.array([[1, 2, 3], [0, -1, -1]])
        >>> loss, gradient = jax.value_and_grad(masked_cross_entropy)(jnp.zeros((2, 3, 4)), targets, padding=-1)
        >>> round(float(loss), 4)  # log 4, the mean over four real steps
        1.3863
        >>> gradient[1, :, 0].tolist()  # (1/4 - 1) / 4, then padding
        [-0.1875, 0.0, 0.0]

    References:
        C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: Rethinking the Inception architecture for computer
            vision. CVPR 2016 (label smoothing).
    """
    contract.check_reduction(reduction, denominator)
    scores, _ = read_floats("logits", logits, contract.STEPS_GIVEN_BY)
    known = seen("targets", targets), seen("lengths", lengths), seen("mask", mask)
    contract.check_classes(tuple(scores.shape), *known, padding, label_smoothing)
    labels = place_integers(targets)
    steps = place_steps(scores, lengths, mask)
    losses, steps = masked.cross_entropy(XP, scores, labels, steps, padding, label_smoothing)
    return masked.reduce_steps(XP, losses, steps, reduction, denominator)
