"""The choice of triplets from a batch of JAX arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

import seqloss.numpy as host
from seqloss.contract import Negatives
from seqloss.jax.arrays import to_numpy
from seqloss.jax.losses.points import Labels, Points


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

    Args:
        embeddings: shape (batch, features), float16, bfloat16, float32 or, if `jax_enable_x64` is set, float64. Not
            traced: call this function outside jit.
        labels: any integers, shape (batch,).
        negatives: "random", "semi-hard" or "hardest", see above.
        seed: of the random negatives; the same seed picks the same.
        validate: True raises an error if there is no triplet although there are rows. False returns no triplets.

    Returns:
        Row numbers (anchor, positive, negative), NumPy arrays, each of shape (triplets,): those of all pairs, ordered
        by anchor and positive. A batch of 0 rows has none. A row with NaN counts as the nearest.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that there
            is no positive.
        OptionError: `negatives` is unknown, or `seed` is no whole number from 0 up.
        TypeError: an argument is traced.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqloss.jax import cosine_triplet, pick_triplets
        >>> embeddings = jnp.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
        >>> anchor, positive, negative = pick_triplets(embeddings, jnp.array([7, 7, 2, 1]))
        >>> anchor, positive, negative
        (array([0, 1]), array([1, 0]), array([3, 3]))
        >>> round(float(cosine_triplet(embeddings[anchor], embeddings[positive], embeddings[negative])), 4)
        0.25

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    return host.pick_triplets(to_numpy(embeddings), to_numpy(labels), negatives=negatives, seed=seed, validate=validate)
