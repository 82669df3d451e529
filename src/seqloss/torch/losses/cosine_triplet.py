"""The triplet loss on cosines, with autograd."""

from __future__ import annotations

import torch

from seqloss import contract
from seqloss.contract import PointReduction
from seqloss.formulas import cosine_triplet as formula
from seqloss.torch.losses.floats import read_floats
from seqloss.torch.losses.points import reduce_losses
from seqloss.torch.namespace import TorchNamespace


def cosine_triplet(
    anchor: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
) -> torch.Tensor:
    """Make an anchor's cosine to a positive larger than that to a negative, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient. `pick_triplets` picks the
    triplets of a batch; the index tuples of pytorch-metric-learning's miners do as well.

    It is made of PyTorch's operations, so that all derivatives, torch.func's transforms and torch.compile work. At the
    kink of the hinge the gradient is 0.

    Args:
        anchor: shape (triplets, features), float16, bfloat16, float32 or float64.
        positive: what shall be near the anchor, of the same shape.
        negative: what shall be further away, of the same shape.
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        reduction: "none" returns one loss per triplet; "sum" their sum; "mean" the sum divided by their number, at
            least 1.
        denominator: positive number that divides the sum; only with reduction="sum".

    Returns:
        The loss, shape (triplets,), or a scalar after a reduction; float32, or float64 if an argument is float64, on
        the device of the anchor. It is 0 without a triplet. A NaN or inf in a row makes the loss of this triplet NaN.

    Raises:
        ShapeError: an argument has the wrong rank, or not the shape of the anchor.
        DTypeError: an argument has an unsupported element type.
        OptionError: `reduction` is unknown, `margin` is negative or not finite, or `denominator` is not positive or is
            given without reduction="sum".

    Example:
        >>> import torch
        >>> from seqloss.torch import cosine_triplet
        >>> anchor = torch.tensor([[1.0, 0.0]], requires_grad=True)
        >>> loss = cosine_triplet(anchor, torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]]))
        >>> round(loss.item(), 4)  # 0.8 - 0.6 + 0.3
        0.5
        >>> loss.backward()

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """
    contract.check_margin(margin)
    contract.check_pair_reduction(reduction, denominator)
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    vectors = [read_floats(name, values) for name, values in given.items()]
    contract.check_same_shapes(**{name: values.shape for name, values in zip(given, vectors, strict=True)})
    losses = formula.triplet_losses(TorchNamespace(vectors[0].device), vectors, float(margin))
    return reduce_losses(losses, max(losses.shape[0], 1), reduction, denominator)
