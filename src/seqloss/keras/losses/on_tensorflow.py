"""The losses of pairs and triplets on TensorFlow tensors, eagerly, in a graph, and under XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqloss import contract
from seqloss.contract import ClassReduction, Form, Hinge, PairReduction
from seqloss.errors import wrong_dtype
from seqloss.formulas import cosine_triplet as triplets
from seqloss.formulas import pairwise_kl
from seqloss.keras._compat import is_on_cpu
from seqloss.keras.ctc.shapes import size, with_rank
from seqloss.keras.namespace import TensorFlowNamespace
from seqloss.numpy.arrays import COMPUTED_IN, log_softmax_rounding
from seqloss.numpy.losses.pairwise_kl import ADVICE, Options
from seqloss.numpy.losses.pick_triplets import refuse_without_triplets
from seqloss.numpy.losses.points import read_labels

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
    reduction: PairReduction = "mean",
    denominator: float | None = None,
    validate: bool = True,
) -> tf.Tensor:
    """See `seqloss.keras.pairwise_kl_hinge`."""
    Options(margin, from_logits, class_reduction, hinge, reduction, denominator).check()
    values, kind = _read_floats("embeddings", embeddings, "(batch, classes)")
    row_labels = _as_labels(labels, values)
    if validate and not from_logits:
        rounding = log_softmax_rounding(kind)
        if is_on_cpu(values):
            contract.refuse_bad_probabilities("embeddings", values.numpy(), 1, rounding, ADVICE)
        values = pairwise_kl.poison_bad_rows(XP, values, contract.SUM_SLACK + rounding)
    divisor = tf.cast(size(values, 1), values.dtype) if class_reduction == "mean" else 1.0
    losses, pairs = pairwise_kl.pair_losses(
        XP, values, row_labels, float(margin), divisor, from_logits=from_logits, soft=hinge == "softplus"
    )
    return _reduce_losses(losses, tf.maximum(pairs[0, 0], 1.0), reduction, denominator)


@tf.autograph.experimental.do_not_convert
def cosine_triplet(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 0.3,
    reduction: PairReduction = "mean",
    denominator: float | None = None,
) -> tf.Tensor:
    """See `seqloss.keras.cosine_triplet`."""
    contract.check_margin(margin)
    contract.check_pair_reduction(reduction, denominator)
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    read = [_read_floats(name, values, "(triplets, features)")[0] for name, values in given.items()]
    contract.check_same_shapes(**{name: values.shape for name, values in zip(given, read, strict=True)})
    widest = tf.float64 if any(values.dtype == tf.float64 for values in read) else tf.float32
    losses = triplets.triplet_losses(XP, [tf.cast(values, widest) for values in read], float(margin))
    count = tf.maximum(tf.cast(size(losses, 0), widest), 1.0)
    return _reduce_losses(losses, count, reduction, denominator)


@tf.autograph.experimental.do_not_convert
def batch_triplet_losses(embeddings: Any, labels: Any, margin: float, negatives: Any, validate: bool) -> tf.Tensor:
    """The loss of each pair (anchor, positive) of a batch, (batch, batch), 0 where there is no triplet."""
    values, _ = _read_floats("embeddings", embeddings, "(batch, features)")
    row_labels = _as_labels(labels, values)
    if validate and is_on_cpu(row_labels):
        refuse_without_triplets(row_labels.numpy())
    return triplets.batch_losses(XP, values, row_labels, float(margin), negatives)[0]


def _read_floats(name: str, values: Any, axes: str) -> tuple[tf.Tensor, str]:
    """A tensor of float32 or float64, and the name of its original type."""
    values = tf.convert_to_tensor(values)
    kind = values.dtype.name
    if kind not in COMPUTED_IN:
        raise wrong_dtype(name, kind, "float16, bfloat16, float32 or float64")
    if values.shape.rank is None:
        values = with_rank(name, values, *axes.strip("()").split(", "))
    contract.check_points(name, values.shape, axes)
    return tf.cast(values, COMPUTED_IN[kind].name), kind


def _as_labels(labels: Any, values: tf.Tensor) -> tf.Tensor:
    if not tf.is_tensor(labels):
        labels = tf.convert_to_tensor(read_labels(labels, values.shape[0]).astype(np.int64))
    if labels.shape.rank is None:
        labels = with_rank("labels", labels, "batch")
    contract.check_row_labels(Form(tuple(labels.shape), labels.dtype.name, labels.dtype.is_integer), values.shape[0])
    return labels


def _reduce_losses(losses: tf.Tensor, count: tf.Tensor, reduction: str, denominator: float | None) -> tf.Tensor:
    if reduction == "none":
        return losses
    return tf.reduce_sum(losses) / (count if reduction == "mean" else denominator or 1.0)
