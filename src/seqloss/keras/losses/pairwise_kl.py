"""The pairwise KL loss with a hinge, on tensors of Keras' backend."""

from __future__ import annotations

from keras import ops

from seqloss.contract import ClassReduction, Hinge, PointReduction
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, Labels, Points
from seqloss.keras.losses.arrays import as_tensor, backend_function, in_loss_type


def pairwise_kl_hinge(
    embeddings: Points,
    labels: Labels,
    *,
    margin: float = 1.0,
    from_logits: bool = True,
    class_reduction: ClassReduction = "sum",
    hinge: Hinge = "hard",
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> BackendTensor:
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

    For `model.compile` use `seqloss.keras.PairwiseKLHinge`.

    In `fit` on TensorFlow and JAX values are known at run time only. They, and values on a GPU, are not checked: a row
    that holds no probabilities is NaN there.

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
        embeddings, a tensor of Keras' backend. A batch of 0 or 1 rows has no pair: the loss is 0. If all labels are
        equal, or all different, one of the two parts is empty. A NaN or +inf in a row, or only -inf, makes all pairs of
        this row NaN.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type.
        NormalizationError: with from_logits=False, a row has entries outside [0, 1], or does not add up to 1.
        OptionError: an option has an unknown value, `margin` is negative or not finite, or `denominator` is not
            positive or is given without reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import pairwise_kl_hinge
        >>> embeddings = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], "float32")
        >>> round(float(pairwise_kl_hinge(embeddings, [7, 7, 1], margin=2.0)), 4)
        0.6357

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """
    embeddings = as_tensor("embeddings", embeddings)
    if in_symbolic_scope():
        pairs = in_loss_type(ops.matmul(embeddings, ops.transpose(embeddings)))
        return pairs if reduction == "none" else ops.sum(pairs)
    return backend_function("pairwise_kl_hinge")(
        embeddings,
        labels,
        margin=margin,
        from_logits=from_logits,
        class_reduction=class_reduction,
        hinge=hinge,
        reduction=reduction,
        denominator=denominator,
        validate=validate,
    )
