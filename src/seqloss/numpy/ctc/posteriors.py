"""Class posteriors of each frame on NumPy arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqloss import contract
from seqloss.contract import Infeasible
from seqloss.numpy.arrays import FloatArray, IntegerArray, check_call, log_softmax_rounding, logits_to_numpy
from seqloss.numpy.ctc.rows import compute_rows


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
) -> npt.NDArray[np.floating]:
    """Compute the probability of each class in each frame, given the target.

        posterior[t, c] = sum_{paths pi of the target, pi_t = c} prod p(pi) / sum_{paths pi of the target} prod p(pi)

    Use it to see where in time each label is, or as soft frame labels.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16 (of
            ml_dtypes), float32 or float64, any strides.
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
        The posteriors, shape (batch, time, classes), float32, or float64 for float64 logits. Each frame in use adds up
        to 1. All frames in use of a row with a NaN or +inf, or with normalize=True a frame of only -inf, are NaN.
        Frames past the length of a row, and all frames of a row without a path, are 0.

    Raises:
        ShapeError: an argument has the wrong rank or size.
        DTypeError: an argument has an unsupported element type, or is a masked array.
        LabelError: a label in use is not a class or is the blank, or `blank` is not a class.
        LengthError: a length is negative or larger than its axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        InfeasibleError: with infeasible="raise", a row has no path of positive probability.
        OptionError: `infeasible` is unknown.

    Example:
        >>> import numpy as np
        >>> from seqloss.numpy import ctc_posteriors
        >>> ctc_posteriors(np.zeros((1, 2, 2)), [[1]]).round(3).tolist()  # three paths: 11, 01, 10
        [[[0.333, 0.667], [0.333, 0.667]]]

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section 4.
    """
    contract.check_options(infeasible, "none", None)
    values, kind = logits_to_numpy(logits)
    batch = check_call(
        values, targets, logit_lengths, target_lengths, blank=blank, normalize=normalize, validate=validate,
        rounding=log_softmax_rounding(kind.name),
    )  # fmt: skip
    rows = compute_rows(values, batch, normalize=normalize, softmax=False, infeasible=infeasible)
    assert rows.gradient is not None
    return np.abs(rows.gradient)  # minus the posterior, and no -0.0
