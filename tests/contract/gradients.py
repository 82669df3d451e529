"""The gradient of a loss in each framework, as a test of all of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Function = Callable[..., Any]
Result = tuple[Any, Sequence[Any]]
"""A loss, and the gradients of sum(upstream * loss), 1 for None, with respect to what is given."""


def on_torch(function: Function, given: Sequence[Any], upstream: Any) -> Result:
    import torch

    leaves = [x.detach().requires_grad_() for x in given]
    loss = function(*leaves)
    loss.backward(torch.as_tensor(_weights(upstream, loss)).to(loss))
    return loss.detach(), [x.grad for x in leaves]


def on_torch_func(function: Function, given: Sequence[Any], upstream: Any) -> Result:
    import torch

    loss, pull = torch.func.vjp(function, *given)
    return loss, pull(torch.as_tensor(_weights(upstream, loss)).to(loss))


def on_jax(function: Function, given: Sequence[Any], upstream: Any) -> Result:
    import jax
    import jax.numpy as jnp

    loss, pull = jax.vjp(function, *given)
    return loss, pull(jnp.asarray(_weights(upstream, loss), loss.dtype))


def on_tensorflow(function: Function, given: Sequence[Any], upstream: Any) -> Result:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = function(*given)
    gradients = tape.gradient(loss, given, output_gradients=tf.cast(_weights(upstream, loss), loss.dtype))
    return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]


def _weights(upstream: Any, loss: Any) -> np.ndarray:
    return np.array(np.ones(tuple(loss.shape)) if upstream is None else upstream, np.float64)


GRADIENTS = {"torch": on_torch, "jax": on_jax, "tensorflow": on_tensorflow}
"""By Keras' names of its backends."""
