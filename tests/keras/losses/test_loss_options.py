"""The arguments that a loss object has from `keras.losses.Loss` are refused by one rule, in seqloss' own error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from seqloss.errors import OptionError
from seqloss.keras import (
    CTC,
    CosineTriplet,
    MaskedAbsoluteError,
    MaskedCrossEntropy,
    MaskedSquaredError,
    PairwiseKLHinge,
    SoftNearestNeighbor,
    TimeWeighted,
)

OBJECTS = [
    CTC, CosineTriplet, MaskedAbsoluteError, MaskedCrossEntropy, MaskedSquaredError, PairwiseKLHinge,
    SoftNearestNeighbor, functools.partial(TimeWeighted, "mse"),
]  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reduction": "average"}, "reduction: found 'average', expected one of 'sum_over_batch_size', 'mean'"),
        ({"dtype": "floaty"}, "dtype: found 'floaty', expected one of 'float16'"),
        ({"dtype": "int32"}, "dtype: found 'int32', expected one of 'float16'"),
        ({"dtype": 3}, "dtype: found 3, expected one of 'float16'"),
    ],
)
def test_an_unknown_reduction_or_type_is_an_option_error(
    kind: Callable[..., Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(OptionError, match=words):
        kind(**options)


def test_a_loss_that_keras_does_not_know_is_an_option_error() -> None:
    with pytest.raises(OptionError, match=r"loss: expected a Keras loss, its name, .*found 'xx'"):
        TimeWeighted("xx")
