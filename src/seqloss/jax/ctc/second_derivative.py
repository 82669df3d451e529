"""The Hessian-vector product of `seqloss.formulas.ctc.second_derivative` as a JAX program; it has no derivative."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqloss.formulas.ctc import second_derivative
from seqloss.formulas.ctc.second_derivative import Gradient
from seqloss.jax.namespace import XP


@jax.custom_jvp
def _last_derivative(logits: jax.Array) -> jax.Array:
    return logits


@_last_derivative.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "ctc_loss has no third derivative, and ctc_posteriors no second one: the Hessian of the loss is being "
        "differentiated; stop the gradient before that."
    )


@partial(jax.jit, static_argnums=(5, 6, 7))
def hessian_vector_product(
    logits: jax.Array,
    targets: jax.Array,
    logit_lengths: jax.Array,
    target_lengths: jax.Array,
    direction: jax.Array,
    blank: int,
    normalize: bool,
    gradient: Gradient,
) -> jax.Array:
    """Return the derivative of each row's gradient in a direction, (batch, time, classes).

    Raises:
        NotImplementedError: when it is differentiated with respect to the logits.
    """
    if not logits.size:
        return direction
    targets = jnp.pad(targets, ((0, 0), (0, int(targets.shape[1] == 0))))
    return second_derivative.hessian_vector_product(
        XP, _last_derivative(logits), targets, logit_lengths, target_lengths, direction, blank=blank,
        normalize=normalize, gradient=gradient,
    )  # fmt: skip
