"""The gradient of torch.nn.CTCLoss, exp(score) - posterior, from minus the posterior.

Both terms are near 1 where a model is confident and right. There the difference of the complements is used, which loses
no digits. With x the score and γ the posterior of the most probable class of a frame:

    exp(x) - γ = expm1(x) + sum of the other γ
"""

from __future__ import annotations

import math

import numpy as np

from seqloss.kernels.numba.compilation import kernel

LIKELY = 0.5
"""From this posterior on, the entry of the class is computed from complements."""


@kernel
def add_exponentials(
    scores, steps, exponentials, time, classes, targets, target_lengths, blank, frames, longest, weights, chosen,
    seen, used, result,
):  # fmt: skip
    """Add the exponentials to the gradient of some rows and multiply it by each row's weight, in place.

    Args:
        scores: float32 or float64, the memory of the batch from its first score on.
        steps: the distances of neighbouring rows, frames and classes in it, in elements.
        exponentials: exp(score) of the first `longest` frames of the chosen rows, contiguous, of the scores' type.
        targets: int64 (batch, labels); target_lengths: int64 (batch,).
        frames: int64 (batch,), the frames of each row to change; the others stay as they are.
        weights: (batch,) of the scores' type, the factor of each row.
        chosen: the rows, int64.
        seen, used: scratch, int64 (classes,); `seen` holds negative numbers.
        result: (batch * time * classes,), minus the posteriors, which is changed.
    """
    for i in range(chosen.shape[0]):
        n = chosen[i]
        weight = weights[n]
        # 1. the classes of blank and target, each once: the others have no posterior
        used[0], seen[blank], count = blank, n, 1
        for l in range(target_lengths[n] if frames[n] > 0 else 0):
            if seen[targets[n, l]] != n:
                used[count], seen[targets[n, l]] = targets[n, l], n
                count += 1
        for t in range(frames[n]):
            out, at = (n * time + t) * classes, (i * longest + t) * classes
            # 2. the one with the largest posterior, and the sum of the others
            best, least, others = blank, result[out + blank], 0.0
            for u in range(1, count):
                entry = result[out + used[u]]
                if entry < least:
                    others -= np.float64(least)
                    best, least = used[u], entry
                else:
                    others -= np.float64(entry)
            # 3. all classes, then the one with complements
            for c in range(classes):
                result[out + c] = (result[out + c] + exponentials[at + c]) * weight
            if -least > LIKELY:
                x = np.float64(scores[n * steps[0] + t * steps[1] + best * steps[2]])
                result[out + best] = scores.dtype.type(math.expm1(x) + others) * weight
