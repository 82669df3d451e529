"""The choice of triplets from a batch of tensors."""

from __future__ import annotations

import torch

import seqloss.numpy as host
from seqloss.contract import Negatives
from seqloss.torch.arrays import integers_to_numpy, tensor_to_numpy
from seqloss.torch.losses.floats import read_floats
from seqloss.torch.losses.points import Labels
from seqloss.torch.tracing import refuse_tracing, untraced


@untraced
def pick_triplets(
    embeddings: torch.Tensor,
    labels: Labels,
    *,
    negatives: Negatives = "semi-hard",
    seed: int = 0,
    validate: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pick triplets from a batch: for each two rows of the same label, a row of another label.

    Each row is an anchor, with each other row of its label as a positive. Near and far are by cosine. The negative is

        "random"       any row of another label, each with the same probability
        "semi-hard"    the nearest of those that are further from the anchor than the positive; where there is none, the
                       furthest of all
        "hardest"      the nearest

    The numbers are picked on the host, so that a call waits for a GPU. `CosineTriplet` does the same as a part of the
    program, without waiting.

    Args:
        embeddings: shape (batch, features), float16, bfloat16, float32 or float64.
        labels: any integers, shape (batch,).
        negatives: "random", "semi-hard" or "hardest", see above.
        seed: of the random negatives; the same seed picks the same.
        validate: True raises an error if there is no triplet although there are rows. False returns no triplets.

    Returns:
        Row numbers (anchor, positive, negative), int64 tensors on the device of the embeddings, each of shape
        (triplets,): those of all pairs, ordered by anchor and positive. A batch of 0 rows has none. A row with NaN
        counts as the nearest.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that there
            is no positive.
        OptionError: `negatives` is unknown, or `seed` is no whole number from 0 up.
        RuntimeError: a tracer records the program, or the values are out of reach inside torch.func's transforms.

    Example:
        >>> import torch
        >>> from seqloss.torch import cosine_triplet, pick_triplets
        >>> embeddings = torch.tensor([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
        >>> anchor, positive, negative = pick_triplets(embeddings, [7, 7, 2, 1])
        >>> anchor, positive, negative
        (tensor([0, 1]), tensor([1, 0]), tensor([3, 3]))
        >>> round(cosine_triplet(embeddings[anchor], embeddings[positive], embeddings[negative]).item(), 4)
        0.25

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    values = read_floats("embeddings", embeddings)
    refuse_tracing("pick_triplets", values)
    found = host.pick_triplets(
        tensor_to_numpy(values.detach().cpu()), integers_to_numpy(labels), negatives=negatives, seed=seed,
        validate=validate,
    )  # fmt: skip
    anchor, positive, negative = (torch.from_numpy(numbers).to(embeddings.device) for numbers in found)
    return anchor, positive, negative
