"""The CTC loss under JAX's transformations."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.jax.arrays import FloatArray, IntegerArray, read_arguments
from seqloss.jax.ctc.kernel import Options, losses


def ctc_loss(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> jax.Array:
    """Compute the CTC loss: score label sequences whose alignment with the frames is unknown.

    A path assigns one class to each frame. Merging its adjacent repeats and then removing its blanks leaves a label
    sequence. The loss of a target l is the negative log-likelihood of all paths that leave it:

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    The gradient with respect to the logits is

        p_t(c) - posterior[t, c]

    where the posterior is the probability, given the target, that frame t has class c (see `ctc_posteriors`).

    It works under jit, grad, value_and_grad, vmap, jvp, jacfwd, hessian, checkpoint, scan and shard_map. On the CPU it
    runs the compiled kernel that all frontends share; on other devices it runs JAX operations that are compiled with
    your program. If XLA shards a program by itself, the CPU kernel gathers the whole batch: use shard_map there.

    Labels and lengths that are known when Python runs are checked then, before JAX converts them to 32 bits. Traced
    ones are checked on the CPU when the program runs: JAX raises its own run-time error with the same text. On an
    accelerator traced values are not checked: an invalid row gives NaN, and with infeasible="raise" a row without a
    path gives NaN. `ctc_check` reports the reason.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64. Log-probabilities give the same loss.
        targets: labels, integers, shape (batch, labels), padded on the right with any value.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read, and their gradient is 0.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class. A Python integer.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read, and the gradient is minus the posterior.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: "none" returns one loss per row; "sum" their sum; "mean" the mean over the batch of each loss divided
            by its target length (at least 1); "batch" the sum divided by the batch size; "labels" the sum divided by
            the number of all labels. The mean that optax examples use is `jnp.mean` of "none".
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of rows or labels
            over all gradient accumulation steps and devices to get the gradient of one large batch. Where the framework
            takes the mean of M gradients, divide this number by M (docs/guides/big-batches.md).
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.

    Returns:
        The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 logits. A NaN
        or +inf among the scores that a row reads, or with normalize=True a frame of only -inf, makes the loss of this
        row NaN and leaves other rows unchanged.

    Raises:
        ShapeError: an argument has the wrong rank or size. Concatenated 1-D targets are refused, because shapes are
            static.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".
        NotImplementedError: the second derivative is differentiated: there is no third.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from seqloss.jax import ctc_loss
        >>> logits = jnp.zeros((1, 2, 3))  # two frames, three equally probable classes
        >>> loss, gradient = jax.value_and_grad(ctc_loss)(logits, jnp.array([[1]]), reduction="sum")
        >>> round(float(loss), 4)  # three of nine paths leave [1]: log 3
        1.0986
        >>> [round(g, 4) for g in gradient[0, 0].tolist()]  # softmax 1/3 each, posterior (1/3, 2/3, 0)
        [0.0, -0.3333, 0.3333]

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    contract.check_options(infeasible, reduction, denominator)
    given = read_arguments(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    options = Options(
        given.blank,
        normalize,
        raises=given.raises,
        unchecked=given.unchecked,
        rounding=given.rounding,
        names=contract.current_argument_names(),
    )
    weights = _weights(reduction, given.target_lengths, denominator, given.logits)
    loss = losses(*given.arrays, weights, options)
    if infeasible == "zero":
        loss = jnp.where(loss == jnp.inf, 0.0, loss)
    return loss if reduction == "none" else jnp.sum(loss, dtype=loss.dtype)


def _weights(
    reduction: Reduction, target_lengths: jax.Array, denominator: float | None, logits: jax.Array
) -> jax.Array:
    """Compute `seqloss.contract.reduction_weights` for lengths that may be traced."""
    divisor = contract.reduction_divisor(
        reduction, target_lengths, logits.shape[0], denominator, maximum=jnp.maximum, total=jnp.sum
    )
    return jnp.ones(logits.shape[0], logits.dtype) / jnp.asarray(divisor, logits.dtype)
