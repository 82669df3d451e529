"""The choice of triplets, and the check of probabilities, for tensors of Keras' backend, computed on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

import seqloss.numpy as host
from seqloss.contract import Negatives
from seqloss.keras.arrays import Labels, Points, Tensor
from seqloss.keras.ctc.host import to_numpy
from seqloss.numpy import Report

Probabilities: TypeAlias = Tensor | Sequence[float] | Sequence[Sequence[float]]
"""A tensor or an array with any number of axes, or nested lists."""


def pick_triplets(
    embeddings: Points,
    labels: Labels,
    *,
    negatives: Negatives = "semi-hard",
    seed: int = 0,
    validate: bool = True,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pick triplets from a batch: for each two rows of the same label, a row of another label.

    Each row is an anchor, with each other row of its label as a positive. Near and far are by cosine. The negative is

        "random"       any row of another label, each with the same probability
        "semi-hard"    the nearest of those that are further from the anchor than the positive; where there is none, the
                       furthest of all
        "hardest"      the nearest

    `CosineTriplet` chooses them as a part of the program.

    Args:
        embeddings: shape (batch, features), float16, bfloat16, float32 or float64. With values: call this function
            outside of `fit` and of compiled functions.
        labels: any integers, shape (batch,).
        negatives: "random", "semi-hard" or "hardest", see above.
        seed: of the random negatives; the same seed picks the same.
        validate: True raises an error if there is no triplet although there are rows. False returns no triplets.

    Returns:
        Row numbers (anchor, positive, negative), NumPy arrays, each of shape (triplets,): those of all pairs, ordered
        by anchor and positive. A batch of 0 rows has none. A row with NaN counts as the nearest.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is traced or symbolic and has no values.
        LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that there
            is no positive.
        OptionError: `negatives` is unknown, or `seed` is no whole number from 0 up.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import pick_triplets
        >>> embeddings = np.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
        >>> anchor, positive, negative = pick_triplets(embeddings, [7, 7, 2, 1])
        >>> anchor, positive, negative
        (array([0, 1]), array([1, 0]), array([3, 3]))

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    return host.pick_triplets(to_numpy(embeddings), to_numpy(labels), negatives=negatives, seed=seed, validate=validate)


def check_probabilities(x: Probabilities, axis: int = -1) -> Report:
    """Find the rows that are no probabilities, with the likely cause for each.

    A row is all entries along the axis of the classes. It is valid if they are from 0 to 1 and add up to 1, within 0.01
    (a softmax in bfloat16 is off by 0.004). Otherwise it is one of

        "log-probabilities"    no entry is above 0, and their exponentials add up to 1
        "scores"               other entries outside [0, 1]: raw scores, before softmax
        "axis"                 entries in [0, 1] that add up to 1 along another axis, in the whole array
        "normalization"        entries in [0, 1] with another sum
        "non-finite"           NaN or +inf

    Losses that take probabilities raise an error for the first such row only, and return NaN for it where they cannot
    see values. This function reports all rows and raises nothing for values.

    It copies the tensor to the host.

    Args:
        x: what should be probabilities, any shape with at least one axis, float16, bfloat16, float32 or float64. With
            values: call this function outside of `fit` and of compiled functions.
        axis: the axis of the classes; a negative one counts from the last.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row. Rows are counted over all other axes; the cause names the position.

    Raises:
        ShapeError: x has no axis, no classes, or its rows have uneven lengths.
        DTypeError: x has an unsupported element type, or is traced or symbolic and has no values.
        OptionError: `axis` is no axis of x.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import check_probabilities
        >>> check_probabilities(np.array([[0.5, 0.5], [2.0, -1.0]])).counts
        {'scores': 1}
    """
    return host.check_probabilities(to_numpy(x), axis)
