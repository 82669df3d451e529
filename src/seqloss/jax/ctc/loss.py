"""CTC under JAX's transformations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.jax.arrays import read
from seqloss.jax.ctc.kernel import Options, losses


def ctc_loss(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> jax.Array:
    """Train a network to emit a sequence of labels without being told when: connectionist temporal classification.

    A path assigns a class to each frame; removing its adjacent repeats, then its blanks, leaves a label
    sequence. The loss of a target l is the negative log probability of all paths that leave it,

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    and its gradient with respect to the logits is p - posterior, the posterior being the probability, given
    the target, that frame t emits class c.

    Works under jit, grad, value_and_grad, vmap, jvp, jacfwd, hessian, checkpoint, scan and shard_map. On the CPU it
    runs the kernel that all frontends share, elsewhere whole-array code compiled with your program. A program that XLA
    shards by itself gathers the batch for the kernel on a CPU: use shard_map there.

    Args:
        logits: scores before softmax, (batch, time, classes), float16, bfloat16, float32, or float64, which
            JAX turns into float32 unless `jax_enable_x64` is set. Log-probabilities give the same loss.
        targets: integers (batch, labels), padded with anything.
        logit_lengths: frames in use, integers (batch,), traced or not; None for all. What lies past them is never
            read, and its gradient is 0.
        target_lengths: labels in use, integers (batch,), traced or not; None for all.
        blank: the class that stands for no label; negative counts from the end; a Python number.
        normalize: True takes the softmax. False takes the scores for log-probabilities as they stand; only
            the classes of blank and target are read, and the gradient is minus the posterior.
        infeasible: for a row that no path of positive probability fits: "inf" (loss inf, gradient 0), "zero"
            (both 0) or "raise".
        reduction: "none" (batch,); "sum"; "mean" (each loss over its target length, then the batch's mean);
            "batch" (sum over batch size); "labels" (sum over all labels). optax users want "none" and jnp.mean.
        denominator: with "sum", divide by this number: the count over all accumulation steps and devices, so
            that the gradient is that of one big batch.
        validate: look at labels, lengths and, with normalize=False, at the frames' sums. With False a row
            that breaks the contract gives NaN instead of an error.

    Returns:
        the loss in nats, (batch,) or a scalar; float32, or float64 for float64 logits.

    Raises:
        ShapeError, DTypeError: an argument's form; concatenated 1-D targets, because shapes are static here.
        LabelError: a label or the blank that is no class; a blank inside a target.
        LengthError: a length below 0 or past its axis.
        NormalizationError: normalize=False, and a frame's probabilities add up to more than 1.001.
        InfeasibleError: infeasible="raise", and no path fits.
        OptionError: an unknown word for `infeasible` or `reduction`, or a `denominator` without "sum".

        Labels and lengths whose values are known when Python runs are looked at then, before JAX narrows them to 32
        bits. Traced ones are looked at on the CPU when the program runs: JAX's own run-time error carries the
        same text. On an accelerator nothing waits: a row that breaks the contract, or does not fit under
        "raise", gives NaN. `ctc_check` is the explicit look.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import ctc_loss
        >>> logits = jnp.zeros((1, 2, 3))  # two frames, three classes, all alike
        >>> loss, gradient = jax.value_and_grad(ctc_loss)(logits, jnp.array([[1]]), reduction="sum")
        >>> round(float(loss), 4)  # three of nine paths spell [1]: log 3
        1.0986
        >>> [round(g, 4) for g in gradient[0, 0].tolist()]  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        [0.0, -0.3333, 0.3333]

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    contract.check_options(infeasible, reduction, denominator)
    given = read(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    options = Options(
        given.blank,
        normalize,
        raises=given.raises,
        unchecked=given.unchecked,
        rounding=given.rounding,
    )
    weights = _weights(reduction, given.target_lengths, denominator, given.logits)
    loss = losses(*given.arrays, weights, options)
    if infeasible == "zero":
        loss = jnp.where(loss == jnp.inf, 0.0, loss)
    return loss if reduction == "none" else jnp.sum(loss, dtype=loss.dtype)


def _weights(
    reduction: Reduction, target_lengths: jax.Array, denominator: float | None, logits: jax.Array
) -> jax.Array:
    """`seqloss.contract.reduction_weights` for lengths that may be traced."""
    divisor = contract.reduction_divisor(
        reduction, target_lengths, logits.shape[0], denominator, maximum=jnp.maximum, total=jnp.sum
    )
    return jnp.ones(logits.shape[0], logits.dtype) / jnp.asarray(divisor, logits.dtype)
