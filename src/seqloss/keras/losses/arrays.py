"""Arguments of the losses beside CTC as tensors of Keras' backend, and the functions of the backend's own frontend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from seqloss import contract
from seqloss.errors import unknown_option, wrong_dtype
from seqloss.keras.arrays import Tensor
from seqloss.keras.backend import BACKENDS

Mask: TypeAlias = Tensor | Sequence[Sequence[bool | int]]
"""Which steps are real: a tensor, a NumPy array, or nested lists."""

Numbers: TypeAlias = Tensor | Sequence[Sequence[object]]
"""Numbers (batch, time) or (batch, time, ...): a tensor, a NumPy array, or nested lists."""


def as_tensor(name: str, values: Any) -> Any:
    """Convert to a tensor of the backend, without a change of type.

    Raises:
        DTypeError: a KerasTensor, outside of any layer or loss.
        ShapeError: lists of uneven length.
    """
    if isinstance(values, keras.KerasTensor):
        raise wrong_dtype(name, "a KerasTensor, which has no values", "a tensor; call the loss from a layer's `call`")
    if not hasattr(values, "shape"):
        contract.as_array(name, values)
    return values if ops.is_tensor(values) else ops.convert_to_tensor(values)


def in_loss_type(x: Any) -> Any:
    """Cast to the type of a loss: float64 for float64, else float32."""
    return ops.cast(x, "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "float32")


def host_values(x: Any) -> Any:
    """The values of a tensor as an array, if they can be read now, without waiting for a device; else None."""
    backend = keras.config.backend()
    if backend == "torch":
        from seqloss.torch.losses.floats import host_values as of_torch

        return of_torch(x)
    if backend == "jax":
        from seqloss.jax.arrays import host_value as of_jax

        return of_jax(x)
    from seqloss.keras.losses.tensorflow_arrays import host_values as of_tensorflow

    return of_tensorflow(x)


def backend_function(name: str) -> Callable[..., Any]:
    """Return the function of this name of the backend's own frontend."""
    backend = keras.config.backend()
    if backend == "torch":
        from seqloss import torch as frontend

        return getattr(frontend, name)
    if backend == "jax":
        from seqloss import jax

        return getattr(jax, name)
    if backend == "tensorflow":
        from seqloss.keras.losses import tensorflow

        return getattr(tensorflow, name)
    raise unknown_option("KERAS_BACKEND", backend, BACKENDS)
