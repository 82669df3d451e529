"""The soft nearest neighbour loss for `model.compile`: y_true holds labels, y_pred points."""

from __future__ import annotations

import keras
from keras import ops

from seqloss import contract
from seqloss.contract import Metric, rename_arguments
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, Labels, Points
from seqloss.keras.ctc.shapes import size
from seqloss.keras.losses.label_column import label_column
from seqloss.keras.losses.row_loss import NAMES, RowLoss
from seqloss.keras.losses.soft_nearest_neighbor import soft_nearest_neighbor


@keras.saving.register_keras_serializable(package="seqloss", name="SoftNearestNeighbor")
class SoftNearestNeighbor(RowLoss):
    """Train a Keras model so that the nearest points of each point are of its own class.

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    `y_true` holds the labels, and `y_pred` the points. A point whose label occurs once in the batch has the loss 0. The
    loss of a row is scaled so that the mean over the rows, Keras' default, is the mean over the points that have
    another point of their class. Neighbours are those within a batch: shuffle, and give each batch several rows of each
    label.

    For a temperature that is learnt, call `soft_nearest_neighbor` in a layer, with `add_loss`.

    The object is a `keras.losses.Loss` for `model.compile`. It can be saved with the model.

    Args:
        reduction: Keras' reduction of the rows: "sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", or
            "none" or None for one loss per row.
        name: name of the loss in logs.
        dtype: type of the result: a name, or a policy, whose compute type is used; None for Keras' floatx. float64 is
            computed in float64, all other types in float32; a half type is the result of rounding at the end.
        temperature: positive number; with a large one, far points count too.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine.

    Raises:
        OptionError: `reduction`, `dtype` or `metric` is unknown, or `temperature` is not positive.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import SoftNearestNeighbor
        >>> y_pred = np.array([[0.0], [0.1], [5.0], [5.1]], "float32")
        >>> round(float(SoftNearestNeighbor()(np.array([0, 1, 0, 1]), y_pred)), 3)
        24.99

            model.compile(optimizer="adam", loss=SoftNearestNeighbor(metric="cosine"))
            model.fit(x, labels)

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """

    OPTIONS = ("temperature", "metric")

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "soft_nearest_neighbor",
        dtype: str | keras.DTypePolicy | None = None,
        *,
        temperature: float = 1.0,
        metric: Metric = "euclidean",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        contract.check_temperature(temperature)
        contract.check_option("metric", metric, Metric)
        self.temperature, self.metric = float(temperature), metric

    def call(self, y_true: Labels, y_pred: Points) -> BackendTensor:
        """Compute the loss of each row; their mean is the mean over the points that have a neighbour of their class.

        Args:
            y_true: labels, shape (batch,) or (batch, 1), integers, or whole numbers as float32 or float64.
            y_pred: points, shape (batch, features), float16, bfloat16, float32 or float64.

        Returns:
            The loss of each row, a tensor of Keras' backend, shape (batch,); float32, or float64 with dtype="float64".

        Raises:
            ShapeError: an argument has the wrong rank or size.
            DTypeError: an argument has an unsupported element type, or a known label is not a whole number.

        Example:
            >>> import numpy as np
            >>> from seqloss.keras import SoftNearestNeighbor
            >>> y_pred = np.array([[0.0], [0.0], [0.0]], "float32")
            >>> losses = SoftNearestNeighbor().call(np.array([0, 0, 0]), y_pred)
            >>> [float(loss) for loss in losses]  # one class: nothing to tell apart
            [0.0, 0.0, 0.0]
        """
        y_pred = self._prepare(y_pred)
        if in_symbolic_scope():
            return self._symbolic(y_pred)
        labels, wrong = label_column(y_true, y_pred)
        with rename_arguments(NAMES):
            losses = soft_nearest_neighbor(
                y_pred, labels, temperature=self.temperature, metric=self.metric, reduction="none"
            )
        batch = ops.cast(size(y_pred, 0), losses.dtype)
        alike = ops.sum(ops.cast(ops.equal(labels[:, None], labels[None, :]), losses.dtype), axis=1)
        counted = ops.sum(ops.cast(alike > 1, losses.dtype))
        return ops.where(wrong, float("nan"), losses * batch / ops.maximum(counted, 1))
