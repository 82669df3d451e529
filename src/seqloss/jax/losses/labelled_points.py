"""Points, labels and temperature as the JAX arrays that the losses of a batch's points take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from seqloss import contract, errors
from seqloss.contract import Form, form_of
from seqloss.jax.arrays import host_value
from seqloss.numpy.arrays import COMPUTED_IN
from seqloss.numpy.losses.labelled_points import read_labels

Points: TypeAlias = ArrayLike | Sequence[Sequence[float]]
"""Points (points, dimensions): a JAX array, traced or not, a NumPy array, or nested lists."""

Labels: TypeAlias = ArrayLike | Sequence[int]
"""One class for each point (points,): a JAX array, traced or not, a NumPy array, or a list."""


def read_points(function: str, points: Any, labels: Any) -> tuple[jax.Array, jax.Array]:
    """Check points and labels; warn of points without a neighbour of their class if the labels are known.

    Known labels become numbers of their classes, so that 32 bits hold any.

    Args:
        function: the public function's name, for the warning.

    Raises:
        ShapeError, DTypeError: see `seqloss.contract.check_labelled_points`.
    """
    array = points if isinstance(points, jax.Array) else _array(points)
    known = host_value(labels)
    classes = labels if known is None else read_labels(known)
    contract.check_labelled_points(array.shape, array.dtype.name, _form(classes))
    if known is not None:
        contract.warn_of_lone_points(function, classes)
        classes = np.unique(classes, return_inverse=True)[1].astype(np.int32)
    return jnp.asarray(array), jnp.asarray(classes)


def read_temperature(temperature: Any, points: jax.Array) -> jax.Array:
    """A scalar in the type that the points are computed in, checked where it is known.

    Raises:
        ShapeError: it is no scalar.
        OptionError: its value is known on the host, and not positive.
    """
    if isinstance(temperature, jax.Array | np.ndarray):
        contract.check_temperature_shape(temperature.shape)
        known = host_value(temperature)
        if known is not None:
            contract.check_temperature(float(np.asarray(known).reshape(())))
        temperature = temperature.reshape(())
    else:
        contract.check_temperature(temperature)
    return jnp.asarray(temperature, COMPUTED_IN[points.dtype.name])


def _array(points: Any) -> np.ndarray:
    try:
        return np.asarray(points)
    except ValueError:
        raise errors.uneven_rows("points") from None


def _form(labels: Any) -> Form:
    return form_of(labels.dtype, labels.shape)
