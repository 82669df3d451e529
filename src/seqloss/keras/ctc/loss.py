"""The CTC loss on tensors of Keras' backend; the frontend of the backend computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.errors import concatenated_targets, unknown_option, wrong_dtype
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.arrays import BackendTensor, FloatArray, IntegerArray
from seqloss.keras.backend import BACKENDS
from seqloss.keras.ctc.shapes import rank


def ctc_loss(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> BackendTensor:
    """Compute the CTC loss: score label sequences whose alignment with the frames is unknown.

    A path assigns one class to each frame. Merging its adjacent repeats and then removing its blanks leaves a label
    sequence. The loss of a target l is the negative log-likelihood of all paths that leave it:

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    The gradient with respect to the logits is

        p_t(c) - posterior[t, c]

    where the posterior is the probability, given the target, that frame t has class c (see `ctc_posteriors`).

    For `model.compile` use `seqloss.keras.CTC`.

    In `fit` on TensorFlow and JAX values are known at run time only. Then the framework raises its own error with the
    same text. Values on a GPU, and all values under TensorFlow's jit_compile=True, are not checked: an invalid row
    gives NaN, and with infeasible="raise" a row without a path gives NaN. `ctc_check` reports the reason.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64. Log-probabilities give the same loss.
        targets: labels, integers, shape (batch, labels), padded on the right with any value.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read, and their gradient is 0.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read, and the gradient is minus the posterior.
        infeasible: result for a row without a path of positive probability: "inf" (loss inf, gradient 0), "zero" (loss
            0, gradient 0) or "raise" (an InfeasibleError).
        reduction: "none" returns one loss per row; "sum" their sum; "mean" the mean over the batch of each loss divided
            by its target length (at least 1); "batch" the sum divided by the batch size; "labels" the sum divided by
            the number of all labels.
        denominator: positive number that divides the sum; only with reduction="sum". Pass the number of rows or labels
            over all gradient accumulation steps and devices to get the gradient of one large batch. Where the framework
            takes the mean of M gradients, divide this number by M (docs/guides/big-batches.md).
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. A row with an invalid label or length is then NaN; with normalize=False, scores
            whose probabilities add up to more than 1 give a number without meaning, possibly below 0.

    Returns:
        The loss in nats, shape (batch,), or a scalar after a reduction; float32, or float64 for float64 logits, a
        tensor of Keras' backend. A NaN or +inf among the scores that a row reads, or with normalize=True a frame of
        only -inf, makes the loss of this row NaN and leaves other rows unchanged.

    Raises:
        ShapeError: an argument has the wrong rank or size. Concatenated 1-D targets are refused, because shapes are
            static.
        DTypeError: an argument has an unsupported element type.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` or `reduction` is unknown, or `denominator` is not positive or is given without
            reduction="sum".

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_loss
        >>> logits = np.zeros((1, 2, 3), "float32")  # two frames, three equally probable classes
        >>> round(float(ctc_loss(logits, [[1]], reduction="sum")), 4)  # three of nine paths leave [1]: log 3
        1.0986

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006.
    """
    contract.check_options(infeasible, reduction, denominator)
    logits = as_tensor(logits)
    _refuse_concatenated(targets)
    if in_symbolic_scope():
        return symbolic_loss(logits, reduction)
    return _backend_ctc_loss()(
        logits,
        targets,
        logit_lengths,
        target_lengths,
        blank=blank,
        normalize=normalize,
        infeasible=infeasible,
        reduction=reduction,
        denominator=denominator,
        validate=validate,
    )


def as_tensor(values: Any) -> Any:
    """Convert to a tensor of the backend, without a change of type.

    Raises:
        DTypeError: a KerasTensor, outside of any layer or loss.
    """
    if isinstance(values, keras.KerasTensor):
        raise wrong_dtype(
            "logits", "a KerasTensor, which has no values", "a tensor; call the loss from a layer's `call`"
        )
    return values if ops.is_tensor(values) else ops.convert_to_tensor(values)


def _refuse_concatenated(targets: Any) -> None:
    try:
        axes = rank(targets) if hasattr(targets, "shape") else np.ndim(targets)
    except ValueError:  # rows of different lengths, which `contract.validate` refuses
        return
    if axes == 1:
        raise concatenated_targets(np.shape(targets))


def _backend_ctc_loss() -> Callable[..., Any]:
    """Return `ctc_loss` of the backend's own frontend."""
    name = keras.config.backend()
    if name == "torch":
        from seqloss.torch import ctc_loss as on_torch

        return on_torch
    if name == "jax":
        from seqloss.jax import ctc_loss as on_jax

        return on_jax
    if name == "tensorflow":
        from seqloss.keras.ctc.tensorflow import ctc_loss as on_tensorflow

        return on_tensorflow
    raise unknown_option("KERAS_BACKEND", name, BACKENDS)


def symbolic_loss(logits: Any, reduction: Reduction) -> Any:
    """Return a tensor of the loss's shape and type, which is all that Keras needs while it builds a model."""
    loss = ops.sum(logits, axis=(1, 2))
    dtype = "float64" if keras.backend.standardize_dtype(logits.dtype) == "float64" else "float32"
    return ops.cast(loss if reduction == "none" else ops.sum(loss), dtype)
