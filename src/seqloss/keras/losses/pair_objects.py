"""The losses of pairs and triplets for `model.compile`: y_true holds labels, y_pred embeddings."""

from __future__ import annotations

from typing import Literal, TypeAlias

import keras
from keras import ops

from seqloss import contract
from seqloss.contract import ClassReduction, Hinge, rename_arguments
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, Labels, Points
from seqloss.keras.ctc.shapes import size
from seqloss.keras.losses.batch_triplets import batch_triplet_losses
from seqloss.keras.losses.label_column import label_column
from seqloss.keras.losses.pairwise_kl import pairwise_kl_hinge
from seqloss.keras.losses.row_loss import NAMES, RowLoss
from seqloss.numpy.losses.pairwise_kl import Options

ChosenNegatives: TypeAlias = Literal["semi-hard", "hardest"]


@keras.saving.register_keras_serializable(package="seqloss", name="PairwiseKLHinge")
class PairwiseKLHinge(RowLoss):
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

    `y_true` holds the labels, and `y_pred` the embeddings. The loss of a row is that of all pairs that it is in, scaled
    so that the mean over the rows, Keras' default, is the mean over all pairs. Pairs are those within a batch: shuffle,
    and give each batch several rows of each label.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction of the rows: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", or
            "none" or None for one loss per row.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        margin: the divergence, in nats, beyond which different rows are far enough apart; a finite number, 0 or more.
        from_logits: True applies log-softmax over the classes. False takes the embeddings as probabilities.
        class_reduction: "sum" is the divergence; "mean" divides it by the number of classes.
        hinge: "hard" or "softplus", see above.
        validate: True checks, with from_logits=False, that each row holds probabilities. False skips this check.

    Raises:
        OptionError: an option has an unknown value, or `margin` is negative or not finite.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import PairwiseKLHinge
        >>> y_pred = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]], "float32")
        >>> round(float(PairwiseKLHinge(margin=2.0)(np.array([7, 7, 1]), y_pred)), 4)
        0.6357

            model.compile(optimizer="adam", loss=PairwiseKLHinge())
            model.fit(x, labels)

    References:
        Y.-C. Hsu, Z. Kira: Neural network-based clustering using pairwise constraints. arXiv:1511.06321, 2015.
        Y. X. Lukic, C. Vogt, O. Dürr, T. Stadelmann: Learning embeddings for speaker clustering based on voice
            equality. MLSP 2017.
    """

    OPTIONS = ("margin", "from_logits", "class_reduction", "hinge", "validate")

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "pairwise_kl_hinge",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        margin: float = 1.0,
        from_logits: bool = True,
        class_reduction: ClassReduction = "sum",
        hinge: Hinge = "hard",
        validate: bool = True,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        Options(margin, from_logits, class_reduction, hinge, "none", None).check()
        self.margin, self.from_logits, self.class_reduction = margin, from_logits, class_reduction
        self.hinge, self.validate = hinge, validate

    def call(self, y_true: Labels, y_pred: Points) -> BackendTensor:
        """Compute the loss of each row; their mean is the mean over all pairs.

        Args:
            y_true: labels, shape (batch,) or (batch, 1), integers, or whole numbers as float32 or float64.
            y_pred: one distribution over classes for each row, shape (batch, classes), float16, bfloat16, float32 or
                float64: unnormalised scores (before softmax), or probabilities with from_logits=False.

        Returns:
            The loss of each row, a tensor of Keras' backend, shape (batch,); float32, or float64 with dtype="float64".

        Raises:
            ShapeError: an argument has the wrong rank or size.
            DTypeError: an argument has an unsupported element type, or a known label is not a whole number.
            NormalizationError: with from_logits=False, a row that is known has entries outside [0, 1], or does not add
                up to 1.

        Example:
            >>> import numpy as np
            >>> from seqloss.keras import PairwiseKLHinge
            >>> losses = PairwiseKLHinge().call(np.array([0, 1]), np.zeros((2, 3), "float32"))
            >>> [float(loss) for loss in losses]  # the margin, in both directions
            [2.0, 2.0]
        """
        y_pred = self._prepare(y_pred)
        if in_symbolic_scope():
            return self._symbolic(y_pred)
        labels, wrong = label_column(y_true, y_pred)
        with rename_arguments(NAMES):
            losses = pairwise_kl_hinge(
                y_pred, labels, margin=self.margin, from_logits=self.from_logits, hinge=self.hinge, reduction="none",
                class_reduction=self.class_reduction, validate=self.validate,
            )  # fmt: skip
        rows = (ops.sum(losses, axis=0) + ops.sum(losses, axis=1)) / 2
        others = ops.maximum(ops.cast(size(y_pred, 0), rows.dtype) - 1, 1)
        return ops.where(wrong, float("nan"), rows * 2 / others)


@keras.saving.register_keras_serializable(package="seqloss", name="CosineTriplet")
class CosineTriplet(RowLoss):
    """Make the cosine of two rows of one label larger than that to rows of other labels, by a margin.

        loss = max(0, cos(anchor, negative) - cos(anchor, positive) + margin)

    `y_true` holds the labels, and `y_pred` the embeddings. Each row of a batch is an anchor, with each other row of its
    label as a positive, and a negative that `negatives` chooses by cosine. The loss of a row is the sum of those of its
    triplets, scaled so that the mean over the rows, Keras' default, is the mean over all triplets. Triplets are those
    within a batch: shuffle, and give each batch several rows of each label.

    A vector of zeros has no direction: its cosine to any other is 0, and it gets no gradient.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction of the rows: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", or
            "none" or None for one loss per row.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        margin: by how much the cosines shall differ; a finite number, 0 or more.
        negatives: "semi-hard", the nearest of those that are further from the anchor than the positive, or the furthest
            of all where there is none; "hardest", the nearest. For random ones see `pick_triplets`.
        validate: True raises an error for a batch of rows without a triplet. False returns 0 for it.

    Raises:
        OptionError: an option has an unknown value, or `margin` is negative or not finite.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import CosineTriplet
        >>> y_pred = np.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]], "float32")
        >>> round(float(CosineTriplet()(np.array([7, 7, 2, 1]), y_pred)), 4)
        0.25

            model.compile(optimizer="adam", loss=CosineTriplet(negatives="hardest"))
            model.fit(x, labels)

    References:
        F. Schroff, D. Kalenichenko, J. Philbin: FaceNet. CVPR 2015.
    """

    OPTIONS = ("margin", "negatives", "validate")

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_triplet",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        margin: float = 0.3,
        negatives: ChosenNegatives = "semi-hard",
        validate: bool = True,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        contract.check_margin(margin)
        contract.check_option("negatives", negatives, ChosenNegatives)
        self.margin, self.negatives, self.validate = margin, negatives, validate

    def call(self, y_true: Labels, y_pred: Points) -> BackendTensor:
        """Compute the loss of each row; their mean is the mean over all triplets.

        Args:
            y_true: labels, shape (batch,) or (batch, 1), integers, or whole numbers as float32 or float64.
            y_pred: embeddings, shape (batch, features), float16, bfloat16, float32 or float64.

        Returns:
            The loss of each row, a tensor of Keras' backend, shape (batch,); float32, or float64 with dtype="float64".

        Raises:
            ShapeError: an argument has the wrong rank or size.
            DTypeError: an argument has an unsupported element type, or a known label is not a whole number.
            LabelError: all rows have the same label, so that there is no negative; or no label occurs twice, so that
                there is no positive. In `fit` on TensorFlow and JAX, and on a GPU, labels are not checked: the loss is
                0.

        Example:
            >>> import numpy as np
            >>> from seqloss.keras import CosineTriplet
            >>> y_pred = np.array([[1.0, 0.0], [3.0, 4.0], [4.0, 3.0], [0.0, 1.0]], "float32")
            >>> losses = CosineTriplet().call(np.array([7, 7, 2, 1]), y_pred)
            >>> [round(float(loss), 4) for loss in losses]  # two triplets in four rows
            [0.0, 1.0, 0.0, 0.0]
        """
        y_pred = self._prepare(y_pred)
        if in_symbolic_scope():
            return self._symbolic(y_pred)
        labels, wrong = label_column(y_true, y_pred)
        with rename_arguments(NAMES):
            losses = batch_triplet_losses(y_pred, labels, self.margin, self.negatives, self.validate)
        rows = ops.sum(losses, axis=1)
        batch = ops.cast(size(y_pred, 0), rows.dtype)
        alike = ops.sum(ops.cast(ops.equal(labels[:, None], labels[None, :]), rows.dtype), axis=1)
        triplets = ops.sum(ops.where(alike < batch, alike - 1, 0))
        return ops.where(wrong, float("nan"), rows * batch / ops.maximum(triplets, 1))
