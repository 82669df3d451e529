"""Where in time each class stands."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.jax.arrays import read_arguments
from seqloss.jax.ctc.kernel import Options, losses_and_grads


def ctc_posteriors(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> jax.Array:
    """See where in time a target stands in a network's output: the probability, given it, of each class in each frame.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Works under jit and vmap, and has a derivative.

    Args: as `ctc_loss`.

    Returns:
        (batch, time, classes), float32, or float64 for float64 logits. A frame in use adds up to 1, or is NaN where its
        row holds a NaN or +inf; a row that no path fits, and frames past a row's length, are all 0.

    Raises:
        as `ctc_loss`.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import ctc_posteriors
        >>> shares = ctc_posteriors(jnp.zeros((1, 2, 2)), jnp.array([[1]]))
        >>> [round(share, 3) for share in shares[0, 0].tolist()]  # three paths: 11, 01, 10
        [0.333, 0.667]

    References:
        A. Graves et al.: Connectionist temporal classification. ICML 2006, section 4.
    """
    contract.check_options(infeasible, "none", None)
    given = read_arguments(logits, targets, logit_lengths, target_lengths, blank, normalize, infeasible, validate)
    options = Options(
        given.blank, normalize, softmax=False, raises=given.raises,
        unchecked=given.unchecked, rounding=given.rounding,
    )  # fmt: skip
    _, gradient = losses_and_grads(*given.arrays, jnp.ones(given.logits.shape[0], given.logits.dtype), options)
    return jnp.abs(gradient)  # minus the posterior, and no -0.0
