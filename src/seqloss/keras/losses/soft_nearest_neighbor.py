"""The soft nearest neighbour loss on tensors of Keras' backend; the frontend of the backend computes it."""

from __future__ import annotations

import keras
from keras import ops

from seqloss import contract
from seqloss.contract import Metric, PointReduction
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, Labels, Points, Scalar
from seqloss.keras.losses.arrays import as_tensor, backend_function, in_loss_type


def soft_nearest_neighbor(
    points: Points,
    labels: Labels,
    *,
    temperature: Scalar = 1.0,
    metric: Metric = "euclidean",
    reduction: PointReduction = "mean",
) -> BackendTensor:
    """Compute the soft nearest neighbour loss: how far the classes of a batch of points are apart.

    A point picks another one with a probability that falls with the distance. The loss is the negative log probability
    that it picks one of its own class y:

        loss_i = -log( sum_{j != i, y_j = y_i} exp(-d_ij / temperature) / sum_{j != i} exp(-d_ij / temperature) )

    It is small if the nearest points are of the same class, and large if the classes are entangled.

    In a model, call it in a layer's `call` with `add_loss`, or in a function for `model.compile` (see Example). On
    TensorFlow, some arrays have the size of all pairs.

    Args:
        points: shape (points, dimensions), float16, bfloat16, float32 or float64.
        labels: class of each point, shape (points,), any integers.
        temperature: positive number, or a tensor or variable of shape (), which gets a gradient; with a large one, far
            points count too. To learn it, learn its logarithm.
        metric: "euclidean" for the squared Euclidean distance, "cosine" for 1 - cosine, where a point of zeros has the
            distance 1/2 to all others and no gradient.
        reduction: "mean" is over the points that have another point of their class; "sum"; "none" returns one loss per
            point.

    Returns:
        The loss in nats, a tensor of Keras' backend, a scalar, or shape (points,); float32, or float64 for float64
        points. A point whose label occurs once has the loss 0 and no gradient, and a `SeqLossWarning` tells the number
        of such points, if the labels are known when Python runs. A batch without any point that counts, and one with a
        single class, gives 0. A NaN or infinite coordinate makes every loss NaN, because each loss depends on all
        points.

    Raises:
        ShapeError: points, labels or temperature have the wrong rank or size.
        DTypeError: points or labels have an unsupported element type.
        OptionError: `metric` or `reduction` is unknown, or `temperature` is not positive. A temperature that is traced
            or on an accelerator is not checked; the loss is then NaN.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import soft_nearest_neighbor
        >>> points = np.array([[0.0], [0.1], [5.0], [5.1]], "float32")
        >>> round(float(soft_nearest_neighbor(points, np.array([0, 1, 0, 1]))), 3)
        24.99
        >>> def loss(y_true, y_pred):  # for model.compile(loss=loss), with labels (batch,) or (batch, 1)
        ...     return soft_nearest_neighbor(y_pred, keras.ops.reshape(y_true, (-1,)))

    References:
        N. Frosst, N. Papernot, G. Hinton: Analyzing and improving representations with the soft nearest neighbor loss.
            ICML 2019, arXiv:1902.01889.
    """
    contract.check_option("metric", metric, Metric)
    contract.check_option("reduction", reduction, PointReduction)
    points = as_tensor("points", points)
    if in_symbolic_scope():
        loss = in_loss_type(ops.sum(points, axis=1))
        return loss if reduction == "none" else ops.sum(loss)
    if isinstance(temperature, keras.Variable):
        temperature = temperature.value
    function = backend_function("soft_nearest_neighbor")
    return function(points, labels, temperature=temperature, metric=metric, reduction=reduction)
