"""CTC on tensors of Keras' backend: each backend's own frontend does the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from seqloss import contract
from seqloss.contract import Infeasible, Reduction
from seqloss.errors import unknown_option, wrong_dtype, wrong_rank
from seqloss.keras._compat import in_symbolic_scope
from seqloss.keras.backend import BACKENDS
from seqloss.keras.ctc.shapes import rank


def ctc_loss(
    logits: Any,
    targets: Any,
    logit_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    reduction: Reduction = "none",
    denominator: float | None = None,
    validate: bool = True,
) -> Any:
    """Train a network to emit a sequence of labels without being told when: connectionist temporal classification.

    A path assigns a class to each frame; removing its adjacent repeats, then its blanks, leaves a label
    sequence. The loss of a target l is the negative log probability of all paths that leave it,

        loss = -log sum_{paths pi of l} prod_t p_t(pi_t),        p_t = softmax(logits[t])

    and its gradient with respect to the logits is p - posterior, the posterior being the probability, given
    the target, that frame t emits class c. For `model.compile` there is `seqloss.keras.CTC`.

    Args:
        logits: scores before softmax, (batch, time, classes), float16, bfloat16, float32 or float64.
            Log-probabilities give the same loss.
        targets: integers (batch, labels), padded with anything.
        logit_lengths: frames in use, integers (batch,); None for all. What lies past them is never read, and
            its gradient is 0.
        target_lengths: labels in use, integers (batch,); None for all.
        blank: the class that stands for no label; negative counts from the end.
        normalize: True takes the softmax. False takes the scores for log-probabilities as they stand; only
            the classes of blank and target are read, and the gradient is minus the posterior.
        infeasible: for a row that no path of positive probability fits: "inf" (loss inf, gradient 0), "zero"
            (both 0) or "raise".
        reduction: "none" (batch,); "sum"; "mean" (each loss over its target length, then the batch's mean);
            "batch" (sum over batch size); "labels" (sum over all labels).
        denominator: with "sum", divide by this number: the count over all accumulation steps and ranks, so
            that the gradient is that of one big batch.
        validate: look at labels, lengths and, with normalize=False, at the frames' sums. With False a row
            that breaks the contract gives NaN instead of an error.

    Returns:
        the loss in nats, (batch,) or a scalar; float32, or float64 for float64 logits.

    Raises:
        ShapeError, DTypeError: an argument's form.
        LabelError: a label or the blank that is no class; a blank inside a target.
        LengthError: a length below 0 or past its axis.
        NormalizationError: normalize=False, and a frame's probabilities add up to more than 1.001.
        InfeasibleError: infeasible="raise", and no path fits.
        OptionError: an unknown word for `infeasible` or `reduction`, or a `denominator` without "sum".

        Where values are known at run time alone (in `fit` on TensorFlow and JAX), the framework raises an error of its
        own with the same text; where nobody can look at values (a GPU, TensorFlow with jit_compile=True), a row
        that breaks the contract gives NaN, and so does one that does not fit under "raise": `ctc_check` says why.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_loss
        >>> logits = np.zeros((1, 2, 3), "float32")  # two frames, three classes, all alike
        >>> round(float(ctc_loss(logits, [[1]], reduction="sum")), 4)  # three of nine paths spell [1]: log 3
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
    """A tensor of the backend, in the type that it came in.

    Raises:
        DTypeError: symbolic, outside of any layer or loss.
    """
    if isinstance(values, keras.KerasTensor):
        raise wrong_dtype(
            "logits", "a KerasTensor, which has no values", "a tensor; call the loss from a layer's `call`"
        )
    return values if ops.is_tensor(values) else ops.convert_to_tensor(values)


def _refuse_concatenated(targets: Any) -> None:
    try:
        axes = rank(targets) if hasattr(targets, "shape") else np.ndim(targets)
    except ValueError:  # rows of uneven length, which the contract answers
        return
    if axes == 1:
        hint = "Shapes are static here: pad each row to one length, and give target_lengths."
        raise wrong_rank("targets", np.shape(targets), "(batch, labels)", hint)


def _backend_ctc_loss() -> Callable[..., Any]:
    """The backend's own `ctc_loss`."""
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
    """A tensor of the loss's shape and type: all that Keras asks for while it builds a model."""
    loss = ops.sum(logits, axis=(1, 2))
    dtype = "float64" if keras.backend.standardize_dtype(logits.dtype) == "float64" else "float32"
    return ops.cast(loss if reduction == "none" else ops.sum(loss), dtype)
