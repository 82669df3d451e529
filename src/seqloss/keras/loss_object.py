"""What every Keras loss object of this package checks: the arguments that it has from `keras.losses.Loss`."""

from __future__ import annotations

from typing import Any

import keras

from seqloss.errors import OptionError, unknown_option

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
DTYPES = ("float16", "bfloat16", "float32", "float64")


class LossObject(keras.losses.Loss):
    """A `keras.losses.Loss` that refuses an unknown reduction, and a type that a loss cannot have.

    Args:
        reduction: Keras' reduction.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx.

    Raises:
        OptionError: `reduction` or `dtype` is unknown, or `dtype` is no floating type.
    """

    def __init__(self, reduction: str | None, name: str, dtype: str | keras.DTypePolicy | None) -> None:
        if reduction not in REDUCTIONS:
            raise unknown_option("reduction", reduction, REDUCTIONS)
        try:
            super().__init__(name=name, reduction=reduction, dtype=dtype)
        except (TypeError, ValueError):
            raise _wrong_dtype(dtype) from None
        if self.dtype not in DTYPES:
            raise _wrong_dtype(dtype)


def _wrong_dtype(found: Any) -> OptionError:
    return unknown_option("dtype", found, DTYPES)
