"""The losses of pairs and triplets as modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from seqloss import contract
from seqloss.contract import ClassReduction, Hinge, Negatives, PointReduction
from seqloss.formulas import cosine_triplet as formula
from seqloss.numpy.losses.pairwise_kl import Options
from seqloss.numpy.losses.pick_triplets import refuse_without_triplets
from seqloss.torch.losses.floats import host_values, read_floats
from seqloss.torch.losses.given_triplets import read_triplets
from seqloss.torch.losses.pairwise_kl import pairwise_kl_hinge
from seqloss.torch.losses.points import Labels, as_labels, reduce_losses
from seqloss.torch.namespace import TorchNamespace


class PairwiseKLHinge(torch.nn.Module):
    """Pull distributions of the same label together, and push those of different labels apart, up to a margin.

        loss(i, j) = l(KL(p_i || p_j)) + l(KL(p_j || p_i)),        KL(p || q) = sum_c p(c) log(p(c) / q(c))

    with p_i = softmax(embeddings[i]), and

        l(KL) = KL                             if labels[i] equals labels[j]
        l(KL) = max(0, margin - KL)            otherwise, with hinge="hard"
        l(KL) = log(1 + exp(margin - KL))      otherwise, with hinge="softplus"

    Each pair of rows counts once, in both directions, so that the loss is symmetric. Nothing is clipped: from logits,
    log-softmax keeps the gradient of any class, however improbable. A probability of exactly 0 (a score of -inf) is
    exact too. Where p is 0, its term is 0. Where p has a class that q has not, KL is infinite: the loss is inf for
    equal labels and 0 for different ones, and this direction has no gradient. The entry 0 (or -inf) itself has the
    gradient 0, which is what a softmax before it would pass on.

    A call of the module takes (embeddings, labels) and returns the loss, see `forward`.

    Args:
        margin: the divergence, in nats, beyond which different rows are far enough apart; a finite number, 0 or more.
        from_logits: True applies log-softmax over the classes. False takes the embeddings as probabilities.
        class_reduction: "sum" is the divergence; "mean" divides it by the number of classes.
        hinge: "hard" or "softplus", see above.
        reduction: "none" returns the loss of each direction of each pair, shape (batch, batch): entry [i, j] is that of
            KL(p_i || p_j), and the diagonal is 0; "sum" their sum; "mean" the sum divided by the number of pairs, batch
            * (batch - 1) / 2, at least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True checks, with from_logits=False, that each row holds probabilities. False skips this check.

    Raises:
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import torch
        >>> from seqloss.torch import PairwiseKLHinge
        >>> embeddings = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], requires_grad=True)
        >>> round(PairwiseKLHinge(margin=2.0)(embeddings, torch.tensor([7, 7, 1])).item(), 4)
        0.6357

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """

    def __init__(
        self,
        margin: float = 1.0,
        from_logits: bool = True,
        class_reduction: ClassReduction = "sum",
        hinge: Hinge = "hard",
        reduction: PointReduction = "mean",
        denominator: float | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__()
        Options(margin, from_logits, class_reduction, hinge, reduction, denominator).check()
        self.margin, self.from_logits, self.class_reduction = margin, from_logits, class_reduction
        self.hinge, self.reduction, self.denominator, self.validate = hinge, reduction, denominator, validate

    def forward(self, embeddings: torch.Tensor, labels: Labels) -> torch.Tensor:
        """Compute the loss of all pairs of a batch.

        Args:
            embeddings: one distribution over classes for each row, shape (batch, classes), float16, bfloat16, float32
                or float64: unnormalised scores (before softmax), or probabilities with from_logits=False.
            labels: any integers, shape (batch,). Rows with equal labels are the same, all others different.

        Returns:
            The loss in nats, a scalar, or shape (batch, batch) with reduction="none"; float32, or float64 for float64
            embeddings.

        Raises:
            ShapeError: an argument has the wrong rank or size.
            DTypeError: an argument has an unsupported element type.
            NormalizationError: with from_logits=False, a row on the CPU has entries outside [0, 1], or does not add up
                to 1.

        Example:
            >>> import torch
            >>> from seqloss.torch import PairwiseKLHinge
            >>> PairwiseKLHinge().forward(torch.zeros(2, 3), torch.tensor([0, 1]))  # the margin, in both directions
            tensor(2.)
        """
        return pairwise_kl_hinge(
            embeddings, labels, margin=self.margin, from_logits=self.from_logits, class_reduction=self.class_reduction,
            hinge=self.hinge, reduction=self.reduction, denominator=self.denominator, validate=self.validate,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"margin={self.margin}, from_logits={self.from_logits}, hinge={self.hinge!r}"


class CosineTriplet(torch.nn.Module):
    """Make the cosine of two rows of one label larger than that to rows of other labels, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    Each row of a batch is an anchor, with each other row of its label as a positive, and a negative that `negatives`
    chooses by cosine. The choice is a part of the program: nothing waits for a GPU, and torch.compile takes it along.
    Triplets from elsewhere, such as a miner of pytorch-metric-learning, can be given instead.

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient.

    A call of the module takes (embeddings, labels) and returns the loss, see `forward`.

    Args:
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        negatives: "random", any row of another label; "semi-hard", the nearest of those that are further from the
            anchor than the positive, or the furthest of all where there is none; "hardest", the nearest.
        reduction: "none" returns the loss of each pair (anchor, positive), shape (batch, batch), 0 where there is none;
            "sum" their sum; "mean" the sum divided by the number of pairs, at least 1. For given triplets they return
            one loss per triplet, their sum, and their mean.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True raises an error for a batch of rows without a triplet. False returns 0 for it.

    Raises:
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import torch
        >>> from seqloss.torch import CosineTriplet
        >>> embeddings = torch.tensor([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]], requires_grad=True)
        >>> labels = torch.tensor([7, 7, 2, 1])
        >>> CosineTriplet()(embeddings, labels).backward()
        >>> miner = lambda embeddings, labels: (torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
        >>> round(CosineTriplet()(embeddings, labels, miner(embeddings, labels)).item(), 4)  # 0.8 - 0.6 + 0.3
        0.5

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """

    def __init__(
        self,
        margin: float = 0.3,
        negatives: Negatives = "semi-hard",
        reduction: PointReduction = "mean",
        denominator: float | None = None,
        validate: bool = True,
    ) -> None:
        super().__init__()
        contract.check_margin(margin)
        contract.check_option("negatives", negatives, Negatives)
        contract.check_pair_reduction(reduction, denominator)
        self.margin, self.negatives = margin, negatives
        self.reduction, self.denominator, self.validate = reduction, denominator, validate

    def forward(
        self, embeddings: torch.Tensor, labels: Labels, triplets: Sequence[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: shape (batch, features), float16, bfloat16, float32 or float64.
            labels: any integers, shape (batch,).
            triplets: row numbers (anchor, positive, negative), integers from 0 to batch - 1, each of shape (triplets,),
                as `pick_triplets` and the triplet miners of pytorch-metric-learning return them; None for those that
                `negatives` chooses.

        Returns:
            The loss, a scalar; with reduction="none" shape (batch, batch), or (triplets,) for given triplets. float32,
            or float64 for float64 embeddings. It is 0 without a triplet.

        Raises:
            ShapeError: an argument has the wrong rank or size, or `triplets` are not three of one size.
            DTypeError: an argument has an unsupported element type.
            LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that
                there is no positive. Labels on a GPU, and those under torch.compile, are not checked: the loss is 0.
                Or a row number is outside of 0 to batch - 1; those on a GPU are not checked.

        Example:
            >>> import torch
            >>> from seqloss.torch import CosineTriplet
            >>> embeddings = torch.tensor([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]])
            >>> round(CosineTriplet().forward(embeddings, torch.tensor([7, 7, 2, 1])).item(), 4)
            0.25
        """
        values = read_floats("embeddings", embeddings)
        contract.check_points("embeddings", values.shape, "(batch, features)")
        if triplets is not None:
            return self._of_triplets(values, triplets)
        classes = as_labels(labels, values)
        seen = host_values(classes) if self.validate else None
        if seen is not None:
            refuse_without_triplets(seen)
        uniform = values.new_empty((values.shape[0],) * 2).uniform_() if self.negatives == "random" else None
        losses, pairs = formula.batch_losses(
            TorchNamespace(values.device), values, classes, float(self.margin), self.negatives, uniform
        )
        return reduce_losses(losses, pairs.sum().clamp(min=1), self.reduction, self.denominator)

    def _of_triplets(self, embeddings: torch.Tensor, triplets: Sequence[torch.Tensor]) -> torch.Tensor:
        given = read_triplets(triplets, embeddings)
        xp = TorchNamespace(embeddings.device)
        vectors = formula.directions(xp, embeddings)  # once for all triplets that a row is in
        losses = formula.direction_losses(xp, [vectors[rows] for rows in given], float(self.margin))
        return reduce_losses(losses, max(len(losses), 1), self.reduction, self.denominator)

    def extra_repr(self) -> str:
        return f"margin={self.margin}, negatives={self.negatives!r}, reduction={self.reduction!r}"
