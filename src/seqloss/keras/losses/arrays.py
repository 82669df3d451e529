"""Types and checks of the arguments of losses of single steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

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
    """
    if isinstance(values, keras.KerasTensor):
        raise wrong_dtype(name, "a KerasTensor, which has no values", "a tensor; call the loss from a layer's `call`")
    return values if ops.is_tensor(values) else ops.convert_to_tensor(values)


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
