"""Class posteriors of each frame for JAX arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.jax.arrays import FloatArray, IntegerArray, read_arguments
from seqloss.jax.ctc.kernel import Options, losses_and_grads


def ctc_posteriors(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> jax.Array:
    """Compute the probability of each class in each frame, given the target.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Use it to see where in time each label is, or as soft frame labels.

    It works under jit and vmap, and has a first derivative.

    Labels and lengths that are known when Python runs are checked then, before JAX converts them to 32 bits. Traced
    ones are checked on the CPU when the program runs: JAX raises its own run-time error with the same text. On an
    accelerator traced values are not checked: an invalid row gives NaN, and with infeasible="raise" a row without a
    path gives NaN. `ctc_check` reports the reason.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64.
        targets: labels, integers, shape (batch, labels), padded on the right with any value.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class. A Python integer.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.
        infeasible: result for a row without a path of positive probability: 0 in all its frames ("inf" and "zero") or
            an InfeasibleError ("raise").
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. The frames of a row with an invalid label or length are then NaN; with
            normalize=False, scores whose probabilities add up to more than 1 give posteriors without meaning.

    Returns:
        The posteriors, shape (batch, time, classes), float32, or float64 for float64 logits. Each frame in use adds up
        to 1. All frames in use of a row with a NaN or +inf, or with normalize=True a frame of only -inf, are NaN.
        Frames past the length of a row, and all frames of a row without a path, are 0.

    Raises:
        ShapeError: an argument has the wrong rank or size. Concatenated 1-D targets are refused, because shapes are
            static.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.
        NotImplementedError: the derivative is differentiated: there is no second.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import ctc_posteriors
        >>> posteriors = ctc_posteriors(jnp.zeros((1, 2, 2)), jnp.array([[1]]))
        >>> [round(share, 3) for share in posteriors[0, 0].tolist()]  # three paths: 11, 01, 10
        [0.333, 0.667]

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section 4.
    """
    contract.check_options(infeasible, "none", None)
    given = read_arguments(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    options = Options(
        given.blank, normalize, softmax=False, raises=given.raises,
        unchecked=given.unchecked, rounding=given.rounding,
    )  # fmt: skip
    _, gradient = losses_and_grads(*given.arrays, jnp.ones(given.logits.shape[0], given.logits.dtype), options)
    return jnp.abs(gradient)  # minus the posterior, and no -0.0
