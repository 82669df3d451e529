"""The NumPy frontend's functions for tensors of Keras' backend, computed on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

import seqloss.numpy as host
from seqloss.contract import Infeasible
from seqloss.errors import wrong_dtype
from seqloss.keras.arrays import BackendTensor, FloatArray, IntegerArray
from seqloss.numpy import Finding, Greedy, Report

__all__ = ["Finding", "Greedy", "Report", "ctc_check", "ctc_greedy", "ctc_posteriors", "to_numpy"]


def to_numpy(values: Any) -> Any:
    """Convert a tensor to a NumPy array (bfloat16 to the type of ml_dtypes); return anything else unchanged.

    Raises:
        DTypeError: the tensor is traced or symbolic and has no values.
    """
    if not ops.is_tensor(values):
        return values
    try:
        return ops.convert_to_numpy(values)
    except (AttributeError, NotImplementedError, TypeError):
        hint = "a tensor with values: call this outside of `fit` and of compiled functions"
        raise wrong_dtype("a traced argument", type(values).__name__, hint) from None


def ctc_check(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
) -> Report:
    """Find the rows of a batch that cannot be trained on, with the reason for each.

    `ctc_loss` raises for the first invalid row only, or returns inf or NaN without a reason. This function checks all
    rows and gives the reason for each.

    It works with tensors on any device and copies them to the host.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64. With values: call this function outside of `fit` and of compiled functions.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.

    Returns:
        A `Report` with the findings (at most one per row), the number of rows of each kind, and the reason for each
        row.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is traced or symbolic and has no values.
        LabelError: `blank` is not a class.
        LengthError: the target lengths of concatenated targets do not add up to the number of labels.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_check
        >>> report = ctc_check(np.zeros((3, 2, 4), "float32"), [[1, 2], [1, 1], [3, 4]])
        >>> report.counts
        {'infeasible': 1, 'label': 1}
    """
    args = map(to_numpy, (logits, targets, logit_lengths, target_lengths))
    return host.ctc_check(*args, blank=blank, normalize=normalize)


def ctc_posteriors(
    logits: FloatArray,
    targets: IntegerArray,
    logit_lengths: IntegerArray | None = None,
    target_lengths: IntegerArray | None = None,
    *,
    blank: int = 0,
    normalize: bool = True,
    infeasible: Infeasible = "inf",
    validate: bool = True,
) -> BackendTensor:
    """Compute the probability of each class in each frame, given the target.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Use it to see where in time each label is, or as soft frame labels.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64. With values: call this function outside of `fit` and of compiled functions.
        targets: labels, integers, shape (batch, labels), padded on the right with any value; or the labels of all rows
            concatenated, shape (sum of target_lengths,), together with `target_lengths`.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        target_lengths: number of labels in use of each row, integers, shape (batch,); None for all labels.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities; then only the
            classes of the blank and of the target are read.
        infeasible: result for a row without a path of positive probability: 0 in all its frames ("inf" and "zero") or
            an InfeasibleError ("raise").
        validate: True checks labels and lengths and, with normalize=False, that no frame has a total probability above
            1. False skips these checks. The frames of a row with an invalid label or length are then NaN; with
            normalize=False, scores whose probabilities add up to more than 1 give posteriors without meaning.

    Returns:
        The posteriors, shape (batch, time, classes), float32, or float64 for float64 logits, a tensor of Keras' backend
        without a gradient. Each frame in use adds up to 1. All frames in use of a row with a NaN or +inf, or with
        normalize=True a frame of only -inf, are NaN. Frames past the length of a row, and all frames of a row without a
        path, are 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is traced or symbolic and has no values.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.

    Example:
        >>> import numpy as np
        >>> from keras import ops
        >>> from seqloss.keras import ctc_posteriors
        >>> posteriors = ctc_posteriors(np.zeros((1, 2, 2), "float32"), [[1]])
        >>> [round(float(share), 3) for share in ops.convert_to_numpy(posteriors)[0, 0]]  # three paths: 11, 01, 10
        [0.333, 0.667]

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section 4.
    """
    found: np.ndarray = host.ctc_posteriors(
        *map(to_numpy, (logits, targets, logit_lengths, target_lengths)),
        blank=blank,
        normalize=normalize,
        infeasible=infeasible,
        validate=validate,
    )
    return ops.convert_to_tensor(found)


def ctc_greedy(
    logits: FloatArray, logit_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True
) -> list[Greedy]:
    """Decode labels from a network's output by the most probable class of each frame (greedy decoding).

        pi_t = argmax_c logits[t, c]

    Adjacent repeats of pi are merged and blanks are removed. This is best-path decoding: it finds the most probable
    *path*, which is not always the most probable label sequence, because that sums over many paths. Among equal scores
    in a frame the lower class wins.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or
            float64. For example the result of `model.predict`. With values: call this function outside of `fit` and of
            compiled functions.
        logit_lengths: number of frames in use of each row, integers, shape (batch,); None for all frames. Later frames
            are not read.
        blank: class index of the blank; a negative index counts from the last class.
        normalize: True applies log-softmax over the classes. False takes the logits as log-probabilities. This changes
            the scores of the result, not its labels.

    Returns:
        One `Greedy` per row: labels, first and last frame of each label, and log-probabilities in nats, as NumPy
        arrays.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is traced or symbolic and has no values.
        LabelError: `blank` is not a class.
        LengthError: a length is negative or larger than the time axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.

    Example:
        >>> import numpy as np
        >>> from seqloss.keras import ctc_greedy
        >>> frames = [0, 2, 2, 0, 2, 1]
        >>> decoded = ctc_greedy(9.0 * np.eye(3, dtype="float32")[None, frames])[0]
        >>> decoded.labels.tolist(), decoded.first.tolist(), decoded.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section
            3.2.
    """
    return host.ctc_greedy(to_numpy(logits), to_numpy(logit_lengths), blank=blank, normalize=normalize)
