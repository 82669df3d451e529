"""Greedy (best-path) decoding of JAX arrays."""

from __future__ import annotations

import seqloss.numpy as host
from seqloss.jax.arrays import FloatArray, IntegerArray, to_numpy
from seqloss.numpy import Greedy


def ctc_greedy(
    logits: FloatArray, logit_lengths: IntegerArray | None = None, *, blank: int = 0, normalize: bool = True
) -> list[Greedy]:
    """Decode labels from a network's output by the most probable class of each frame (greedy decoding).

        pi_t = argmax_c logits[t, c]

    Adjacent repeats of pi are merged and blanks are removed. This is best-path decoding: it finds the most probable
    *path*, which is not always the most probable label sequence, because that sums over many paths. Among equal scores
    in a frame the lower class wins.

    Args:
        logits: unnormalised class scores (before softmax), shape (batch, time, classes), float16, bfloat16, float32 or,
            if `jax_enable_x64` is set, float64. Not traced: call this function outside jit.
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
        DTypeError: an argument has an unsupported element type.
        LabelError: `blank` is not a class.
        LengthError: a length is negative or larger than the time axis.
        NormalizationError: with normalize=False, the probabilities of a frame add up to more than 1.001.
        TypeError: an argument is traced.

    Example:
        >>> import jax
        >>> from seqloss.jax import ctc_greedy
        >>> decoded = ctc_greedy(9.0 * jax.nn.one_hot(jax.numpy.array([[0, 2, 2, 0, 2, 1]]), 3))[0]
        >>> decoded.labels.tolist(), decoded.first.tolist(), decoded.last.tolist()
        ([2, 2, 1], [1, 4, 5], [2, 4, 5])

    References:
        A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist temporal classification. ICML 2006, section
            3.2.
    """
    return host.ctc_greedy(to_numpy(logits), to_numpy(logit_lengths), blank=blank, normalize=normalize)
