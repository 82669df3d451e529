"""The pairwise KL loss with a hinge, with autograd."""

from __future__ import annotations

import torch

from seqloss import contract
from seqloss.contract import ClassReduction, Hinge, PointReduction
from seqloss.formulas import pairwise_kl as formula
from seqloss.numpy.losses.pairwise_kl import ADVICE, Options
from seqloss.torch.arrays import log_softmax_rounding
from seqloss.torch.losses.floats import host_values, read_floats
from seqloss.torch.losses.points import Labels, as_labels, reduce_losses
from seqloss.torch.namespace import TorchNamespace


def pairwise_kl_hinge(
    embeddings: torch.Tensor,
    labels: Labels,
    *,
    margin: float = 1.0,
    from_logits: bool = True,
    class_reduction: ClassReduction = "sum",
    hinge: Hinge = "hard",
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> torch.Tensor:
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

    It is made of PyTorch's operations, so that all derivatives, torch.func's transforms and torch.compile work. At the
    kink of the hard hinge the gradient is 0.

    Values on the CPU are checked. Values on a GPU, and those under torch.compile and inside torch.func's transforms,
    are not checked: a row that holds no probabilities is NaN there.

    Args:
        embeddings: one distribution over classes for each row, shape (batch, classes), float16, bfloat16, float32 or
            float64: unnormalised scores (before softmax), or probabilities with from_logits=False.
        labels: any integers, shape (batch,). Rows with equal labels are the same, all others different.
        margin: the divergence, in nats, beyond which different rows are far enough apart; a finite number, 0 or more.
        from_logits: True applies log-softmax over the classes. False takes the embeddings as probabilities.
        class_reduction: "sum" is the divergence; "mean" divides it by the number of classes.
        hinge: "hard" or "softplus", see above.
        reduction: "none" returns the loss of each direction of each pair, shape (batch, batch): entry [i, j] is that of
            KL(p_i || p_j), and the diagonal is 0; "sum" their sum; "mean" the sum divided by the number of pairs, batch
            * (batch - 1) / 2, at least 1.
        denominator: positive number that divides the sum; only with reduction="sum".
        validate: True checks, with from_logits=False, that each row holds probabilities. False skips this check.

    Returns:
        The loss in nats, shape (batch, batch), or a scalar after a reduction; float32, or float64 for float64
        embeddings, on the device of the embeddings. A batch of 0 or 1 rows has no pair: the loss is 0. If all labels
        are equal, or all different, one of the two parts is empty. A NaN or +inf in a row, or only -inf, makes all
        pairs of this row NaN.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        NormalizationError: with from_logits=False, a row has entries outside [0, 1], or does not add up to 1.
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import torch
        >>> from seqloss.torch import pairwise_kl_hinge
        >>> embeddings = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], requires_grad=True)
        >>> pairwise_kl_hinge(embeddings, [7, 7, 7], reduction="none")[0].detach()
        tensor([0.0000, 0.0000, 1.5232])
        >>> loss = pairwise_kl_hinge(embeddings, [7, 7, 1], margin=2.0)
        >>> round(loss.item(), 4)  # two of three pairs are 0.4768 too near, in each direction
        0.6357
        >>> loss.backward()

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """
    options = Options(margin, from_logits, class_reduction, hinge, reduction, denominator)
    options.check()
    values = read_floats("embeddings", embeddings)
    contract.check_points("embeddings", values.shape)
    row_labels = as_labels(labels, values)
    rounding = log_softmax_rounding(embeddings.dtype)
    xp = TorchNamespace(values.device)
    if validate and not from_logits:
        seen = host_values(values)
        if seen is not None:
            contract.refuse_bad_probabilities("embeddings", seen, 1, rounding, ADVICE)
        values = formula.poison_bad_rows(xp, values, contract.SUM_SLACK + rounding)
    divisor = values.shape[1] if class_reduction == "mean" else 1
    losses, pairs = formula.pair_losses(
        xp, values, row_labels, float(margin), divisor, from_logits=from_logits, soft=hinge == "softplus"
    )
    return reduce_losses(losses, pairs.clamp(min=1)[0, 0], reduction, denominator)
