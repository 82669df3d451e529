"""The losses of pairs and triplets on TensorFlow tensors, eagerly, in a graph, and under XLA."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqloss import contract
from seqloss.contract import ClassReduction, Hinge, Negatives, PointReduction
from seqloss.formulas import cosine_triplet as triplets
from seqloss.formulas import pairwise_kl
from seqloss.keras.ctc.shapes import size
from seqloss.keras.losses.tensorflow_arrays import as_labels, host_values, read_points, reduce_losses
from seqloss.keras.namespace import TensorFlowNamespace
from seqloss.numpy.arrays import log_softmax_rounding
from seqloss.numpy.losses.pairwise_kl import ADVICE, Options
from seqloss.numpy.losses.pick_triplets import refuse_without_triplets

XP: Any = TensorFlowNamespace()


@tf.autograph.experimental.do_not_convert
def pairwise_kl_hinge(
    embeddings: Any,
    labels: Any,
    *,
    margin: float = 1.0,
    from_logits: bool = True,
    class_reduction: ClassReduction = "sum",
    hinge: Hinge = "hard",
    reduction: PointReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> tf.Tensor:
    """See `seqloss.keras.pairwise_kl_hinge`."""
    Options(margin, from_logits, class_reduction, hinge, reduction, denominator).check()
    values, kind = read_points("embeddings", embeddings, "(batch, classes)")
    row_labels = as_labels(labels, values)
    if validate and not from_logits:
        rounding = log_softmax_rounding(kind)
        known = host_values(values)
        if known is not None:
            contract.refuse_bad_probabilities("embeddings", known, 1, rounding, ADVICE)
        values = pairwise_kl.poison_bad_rows(XP, values, contract.SUM_SLACK + rounding)
    divisor = tf.cast(size(values, 1), values.dtype) if class_reduction == "mean" else 1.0
    losses, pairs = pairwise_kl.pair_losses(
        XP, values, row_labels, float(margin), divisor, from_logits=from_logits, soft=hinge == "softplus"
    )
    return reduce_losses(losses, tf.maximum(pairs[0, 0], 1.0), reduction, denominator)


@tf.autograph.experimental.do_not_convert
def cosine_triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 0.3,
    reduction: PointReduction = "mean",
    denominator: float | None = None,
) -> tf.Tensor:
    """See `seqloss.keras.cosine_triplet`."""
    contract.check_margin(margin)
    contract.check_pair_reduction(reduction, denominator)
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    read = [read_points(name, values, "(triplets, features)")[0] for name, values in given.items()]
    contract.check_same_shapes(**{name: values.shape for name, values in zip(given, read, strict=True)})
    widest = tf.float64 if any(values.dtype == tf.float64 for values in read) else tf.float32
    losses = triplets.triplet_losses(XP, [tf.cast(values, widest) for values in read], float(margin))
    count = tf.maximum(tf.cast(size(losses, 0), widest), 1.0)
    return reduce_losses(losses, count, reduction, denominator)


@tf.autograph.experimental.do_not_convert
def batch_cosine_triplet(
    embeddings: Any, labels: Any, *, margin: float, negatives: Negatives, reduction: PointReduction, validate: bool
) -> tf.Tensor:
    """See `seqloss.jax.batch_cosine_triplet`; there are no random negatives."""
    values, _ = read_points("embeddings", embeddings, "(batch, features)")
    row_labels = as_labels(labels, values)
    known = host_values(row_labels) if validate else None
    if known is not None:
        refuse_without_triplets(known)
    losses, pairs = triplets.batch_losses(XP, values, row_labels, float(margin), negatives)
    count = tf.maximum(tf.reduce_sum(tf.cast(pairs, losses.dtype)), 1.0)
    return reduce_losses(losses, count, reduction, None)
