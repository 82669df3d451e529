"""The choice of triplets from a batch, on NumPy arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Negatives
from seqloss.errors import LabelError
from seqloss.formulas import cosine_triplet as formula
from seqloss.numpy.losses.floats import read_floats
from seqloss.numpy.losses.points import Labels, Points, read_labels
from seqloss.numpy.namespace import XP


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
        embeddings: shape (batch, features), float16, bfloat16 (of ml_dtypes), float32 or float64.
        labels: any integers, shape (batch,).
        negatives: "random", "semi-hard" or "hardest", see above.
        seed: of the random negatives; the same seed picks the same.
        validate: True raises an error if there is no triplet although there are rows. False returns no triplets.

    Returns:
        Row numbers (anchor, positive, negative), integers, each of shape (triplets,): those of all pairs, ordered by
        anchor and positive. A batch of 0 rows has none. A row with NaN counts as the nearest.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that there
            is no positive.
        OptionError: `negatives` is unknown, or `seed` is no whole number from 0 up.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import cosine_triplet, pick_triplets
        >>> embeddings = np.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
        >>> anchor, positive, negative = pick_triplets(embeddings, [7, 7, 2, 1])
        >>> anchor, positive, negative
        (array([0, 1]), array([1, 0]), array([3, 3]))
        >>> cosine_triplet(embeddings[anchor], embeddings[positive], embeddings[negative]).round(4)
        np.float64(0.25)

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    contract.check_option("negatives", negatives, Negatives)
    contract.check_seed(seed)
    values, _ = read_floats("embeddings", embeddings)
    contract.check_points("embeddings", values.shape, "(batch, features)")
    classes = read_labels(labels, values.shape[0])
    if validate:
        refuse_without_triplets(classes)
    uniform = np.random.default_rng(seed).random((classes.shape[0],) * 2) if negatives == "random" else None
    with np.errstate(invalid="ignore"):
        units = formula.directions(XP, values)
        chosen = formula.choose_negatives(XP, units @ units.T, classes, negatives, uniform)
    anchor, positive = np.nonzero(chosen.pairs)
    return anchor, positive, np.broadcast_to(chosen.negatives, chosen.pairs.shape)[anchor, positive].astype(np.int64)


PASS_OVER = "or pass over such a batch, for example a short last one, with validate=False."


def refuse_without_triplets(labels: np.ndarray) -> None:
    """Raise `LabelError` for rows of one label, or without two rows of one."""
    found, counts = np.unique(labels, return_counts=True)
    if labels.shape[0] == 0 or (found.shape[0] > 1 and counts.max() > 1):
        return
    if found.shape[0] == 1:
        raise LabelError(
            f"labels: found label {found[0]} in all {labels.shape[0]} rows, so that there is no negative; expected two "
            f"labels or more: shuffle the data, or draw several rows of each of several labels for a batch; {PASS_OVER}"
        )
    raise LabelError(
        f"labels: found {labels.shape[0]} rows of as many labels, so that there is no positive; expected a label that "
        f"occurs twice: draw several rows of each of several labels for a batch; {PASS_OVER}"
    )
